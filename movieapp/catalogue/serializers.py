"""JSON of what needs metadata and ratings together."""

from typing import Any

from rest_framework import serializers

from metadata.serializers import MovieSerializer
from movieapp.catalogue.details import MovieDetails, MovieRating


class MovieRatingSerializer(serializers.Serializer[MovieRating]):
    """What a movie's raters say; `average` is 0 to 10."""

    average = serializers.FloatField()
    count = serializers.IntegerField()


class MovieDetailsSerializer(serializers.Serializer[MovieDetails]):
    """A movie with its rating; no rating is null.

    Where parts come from services, `unavailable` names those that could not be had: they are null, and not known.
    """

    metadata = MovieSerializer(allow_null=True)
    rating = MovieRatingSerializer(allow_null=True)

    def to_representation(self, instance: MovieDetails) -> dict[str, Any]:
        """The JSON object; a whole answer has no `unavailable`."""
        shown: dict[str, Any] = super().to_representation(instance)
        if instance.unavailable:
            shown["unavailable"] = [part.value for part in instance.unavailable]
        return shown
