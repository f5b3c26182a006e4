"""JSON of what needs metadata and ratings together."""

from rest_framework import serializers

from metadata.serializers import MovieSerializer
from movieapp.catalogue.selectors import MovieDetails
from ratings.selectors import Aggregate


class MovieRatingSerializer(serializers.Serializer[Aggregate]):
    """What a movie's raters say; `average` is 0 to 10."""

    average = serializers.FloatField()
    count = serializers.IntegerField()


class MovieDetailsSerializer(serializers.Serializer[MovieDetails]):
    """A movie with its rating; no rating is null."""

    metadata = MovieSerializer()
    rating = MovieRatingSerializer(allow_null=True)
