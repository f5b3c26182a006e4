"""The admin's form of a rating: which one it is, and its value as people write it."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms

from ratings.errors import InvalidRating
from ratings.events import MAX_ID_LENGTH, checked_id
from ratings.models import Rating

_FIELD_BY_CONTRACT_NAME = {
    "recordType": "record_type",
    "recordId": "record_id",
    "providerId": "provider_id",
    "userId": "user_id",
}


# Django's generic classes are generic for the type checker only.
if TYPE_CHECKING:
    _RatingModelForm = forms.ModelForm[Rating]
else:
    _RatingModelForm = forms.ModelForm


class RatingForm(_RatingModelForm):
    """The four ids and the value. The ids of a rating that exists are shown and cannot change: it would be another."""

    record_type = forms.CharField(max_length=MAX_ID_LENGTH, initial="movie", strip=False)
    record_id = forms.CharField(label="Record id", max_length=MAX_ID_LENGTH, strip=False)
    provider_id = forms.CharField(label="Provider", max_length=MAX_ID_LENGTH, required=False, strip=False)
    user_id = forms.CharField(label="User id", max_length=MAX_ID_LENGTH, strip=False)
    rating_value = forms.DecimalField(
        label="Value", min_value=0, max_value=10, max_digits=3, decimal_places=1, help_text="From 0 to 10, one decimal."
    )

    class Meta:
        model = Rating
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rating = self.instance
        if rating.pk is None:
            return
        standing = {
            "record_type": rating.record.type,
            "record_id": rating.record.external_id,
            "provider_id": rating.rater.provider_id,
            "user_id": rating.rater.user_id,
        }
        for name, text in standing.items():
            self.fields[name].disabled = True
            self.initial[name] = text
        if rating.value is not None:
            self.initial["rating_value"] = Decimal(rating.value) / 10

    def clean(self) -> dict[str, Any]:
        """Checks the ids as an event's are checked."""
        cleaned: dict[str, Any] = super().clean() or {}
        for contract_name, name in _FIELD_BY_CONTRACT_NAME.items():
            if name not in cleaned:
                continue
            try:
                checked_id(cleaned[name], field=contract_name, empty_allowed=name == "provider_id")
            except InvalidRating as error:
                self.add_error(name, error.reason)
        return cleaned

    def address(self) -> dict[str, str]:
        """The four ids of a valid form, by the names that the services use."""
        return {name: self.cleaned_data[name] for name in _FIELD_BY_CONTRACT_NAME.values()}

    def tenths(self) -> int:
        """The value of a valid form, in tenths."""
        return int(self.cleaned_data["rating_value"] * 10)
