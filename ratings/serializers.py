"""JSON of ratings and aggregates: the names and the rules are the rating event's."""

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from ratings.events import checked_id, tenths_of
from ratings.selectors import Aggregate

_VALUE_FIELDS = ("ratingValue", "value")


@dataclass(frozen=True, slots=True)
class RatingAddress:
    """The one rating of a record, provider and user; no provider is "". Made by `rating_address`."""

    record_type: str
    record_id: str
    provider_id: str
    user_id: str


class AggregateSerializer(serializers.Serializer[Aggregate]):
    """A record's aggregate; `average` is 0 to 10."""

    recordType = serializers.CharField(source="record_type")  # noqa: N815 (the contract's name)
    recordId = serializers.CharField(source="record_id")  # noqa: N815
    average = serializers.FloatField()
    count = serializers.IntegerField()
    version = serializers.IntegerField()


class RatingBody(serializers.Serializer[Any]):
    """What a PUT of a rating says: `ratingValue`, or `value` in the book's dialect."""

    ratingValue = serializers.JSONField(required=False)  # noqa: N815 (the contract's name)
    value = serializers.JSONField(required=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The two fields. Refuses others, whose meaning would be lost."""
        if isinstance(data, dict) and (unknown := set(data) - set(_VALUE_FIELDS)):
            raise serializers.ValidationError(
                {str(field)[:40]: "there is no such field" for field in sorted(unknown)[:10]}
            )
        values: dict[str, Any] = super().to_internal_value(data)
        return values

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One value; both names only when they agree. Raises InvalidRating for a number that no rating may have."""
        values = [tenths_of(attrs[field], field=field) for field in _VALUE_FIELDS if attrs.get(field) is not None]
        if not values:
            raise serializers.ValidationError({"ratingValue": "it is missing"})
        if len(set(values)) > 1:
            raise serializers.ValidationError({"ratingValue": "it differs from value: give one of them"})
        return {"tenths": values[0]}


def provider_from_query(parameters: QueryDict) -> str:
    """The provider that the query names, "" where it names none.

    Raises ValidationError for any other parameter, as a misspelt name would write another provider's rating, and for
    more than one provider.
    """
    if unknown := set(parameters) - {"provider"}:
        reason = "there is no such parameter: provider is the only one"
        raise serializers.ValidationError({name[:40]: reason for name in sorted(unknown)[:10]})
    if len(parameters.getlist("provider")) > 1:
        raise serializers.ValidationError({"provider": "it is given more than once"})
    provider = parameters.get("provider", "")
    return str(provider)


def rating_address(*, record_type: str, record_id: str, provider_id: str, user_id: str) -> RatingAddress:
    """The address of checked ids. Raises InvalidRating."""
    return RatingAddress(
        record_type=checked_id(record_type, field="recordType"),
        record_id=checked_id(record_id, field="recordId"),
        provider_id=checked_id(provider_id, field="provider", empty_allowed=True),
        user_id=checked_id(user_id, field="userId"),
    )


def checked_record(*, record_type: str, record_id: str) -> dict[str, str]:
    """The record's two ids by their names, checked. Raises InvalidRating."""
    return {
        "record_type": checked_id(record_type, field="recordType"),
        "record_id": checked_id(record_id, field="recordId"),
    }


def rating_json(address: RatingAddress, tenths: int) -> dict[str, object]:
    """The rating as the API shows it."""
    return {
        "recordType": address.record_type,
        "recordId": address.record_id,
        "providerId": address.provider_id,
        "userId": address.user_id,
        "ratingValue": tenths / 10,
    }


def tenths_from_json(data: object) -> int:
    """The value that a PUT's body gives, in tenths. Raises ValidationError and InvalidRating."""
    body = RatingBody(data=data)
    body.is_valid(raise_exception=True)
    tenths: int = body.validated_data["tenths"]
    return tenths
