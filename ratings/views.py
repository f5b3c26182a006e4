"""Ratings and aggregates over HTTP."""

from dataclasses import asdict

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_204_NO_CONTENT
from rest_framework.views import APIView

from ratings.errors import RatingNotFound
from ratings.models import Rating
from ratings.selectors import aggregate_get
from ratings.serializers import (
    AggregateSerializer,
    checked_record,
    provider_from_query,
    rating_address,
    rating_json,
    tenths_from_json,
)
from ratings.services import rating_delete, rating_put


class RatingView(APIView):
    """One user's rating of a record, as one provider knows that user (`?provider=`, none by default)."""

    queryset = Rating.objects.none()  # names the model whose permissions count

    def put(self, request: Request, record_type: str, record_id: str, user_id: str) -> Response:
        """Sets the rating, as of now. Saying it again changes nothing."""
        provider_id = provider_from_query(request.query_params)
        address = rating_address(record_type=record_type, record_id=record_id, provider_id=provider_id, user_id=user_id)
        tenths = tenths_from_json(request.data)
        rating_put(**asdict(address), tenths=tenths)
        return Response(rating_json(address, tenths))

    def delete(self, request: Request, record_type: str, record_id: str, user_id: str) -> Response:
        """Removes the rating; 204 also when there is none, so that it may be said again."""
        provider_id = provider_from_query(request.query_params)
        address = rating_address(record_type=record_type, record_id=record_id, provider_id=provider_id, user_id=user_id)
        rating_delete(**asdict(address))
        return Response(status=HTTP_204_NO_CONTENT)


class AggregateView(APIView):
    """What all raters together say of a record."""

    queryset = Rating.objects.none()

    def get(self, request: Request, record_type: str, record_id: str) -> Response:
        """The aggregate, or 404 when nobody has rated the record."""
        aggregate = aggregate_get(**checked_record(record_type=record_type, record_id=record_id))
        if aggregate is None:
            raise RatingNotFound("ratings not found for the record")
        return Response(AggregateSerializer(aggregate).data)
