"""The table of services: their default ports, and under each name the servicer and who may call what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor

from metadata.servicers import MetadataServicer, TutorialMetadataServicer
from movieapp.catalogue.servicers import MovieServicer, TutorialMovieServicer
from movieapp.catalogue.serving.resources import Resources
from movieapp.rpc.rules import Rule, Write
from protos.movieapp.v1 import metadata_pb2, movie_pb2, rating_pb2
from protos.tutorial import movie_pb2 as tutorial_pb2
from ratings.servicers import RatingServicer
from ratings.tutorial_servicer import TutorialRatingServicer

_PUT_MOVIE = ("metadata.add_movie", "metadata.change_movie")
_PUT_RATING = ("ratings.add_rating", "ratings.change_rating")
_DELETE_RATING = ("ratings.delete_rating",)


@dataclass(frozen=True, slots=True)
class Offer:
    """One name of a service: who answers it, made of what a server's servicers share, and the rule of each method."""

    descriptor: ServiceDescriptor
    servicer: Callable[[Resources], object]
    rules: Mapping[str, Rule]


@dataclass(frozen=True, slots=True)
class Service:
    """A service as `serve_grpc` and discovery name it."""

    port: int
    offers: Sequence[Offer]


SERVICES: Mapping[str, Service] = {
    "metadata": Service(
        port=8081,
        offers=(
            Offer(
                metadata_pb2.DESCRIPTOR.services_by_name["MetadataService"],
                lambda _: MetadataServicer(),
                {"GetMetadata": "read", "BatchGetMetadata": "read", "PutMetadata": Write(_PUT_MOVIE)},
            ),
            Offer(
                tutorial_pb2.DESCRIPTOR.services_by_name["MetadataService"],
                lambda _: TutorialMetadataServicer(),
                {"GetMetadata": "read", "PutMetadata": Write(_PUT_MOVIE, open_to_loopback=True)},
            ),
        ),
    ),
    "ratings": Service(
        port=8082,
        offers=(
            Offer(
                rating_pb2.DESCRIPTOR.services_by_name["RatingService"],
                lambda shared: RatingServicer(watches=shared.watches, stream_of=shared.streams.of),
                {
                    "GetAggregatedRating": "read",
                    "BatchGetAggregatedRatings": "read",
                    "PutRating": Write(_PUT_RATING),
                    "DeleteRating": Write(_DELETE_RATING),
                    "PutRatings": Write((*_PUT_RATING, *_DELETE_RATING)),
                    "WatchAggregate": "read",
                },
            ),
            Offer(
                tutorial_pb2.DESCRIPTOR.services_by_name["RatingService"],
                lambda _: TutorialRatingServicer(),
                {"GetAggregatedRating": "read", "PutRating": Write(_PUT_RATING, open_to_loopback=True)},
            ),
        ),
    ),
    "movie": Service(
        port=8083,
        offers=(
            Offer(
                movie_pb2.DESCRIPTOR.services_by_name["MovieService"],
                lambda _: MovieServicer(),
                {"GetMovieDetails": "read", "BatchGetMovieDetails": "read"},
            ),
            Offer(
                tutorial_pb2.DESCRIPTOR.services_by_name["MovieService"],
                lambda _: TutorialMovieServicer(),
                {"GetMovieDetails": "read"},
            ),
        ),
    ),
}
"""By name, in the order in which they are listed."""
