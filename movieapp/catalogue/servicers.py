"""MovieService under both its names: a message in, one domain call, a message out."""

from collections.abc import Iterable, Mapping

import grpc

from metadata.servicers import checked_request_id, metadata_message, movie_ids_of, tutorial_message
from movieapp.catalogue.details import DetailsPart, MovieRating
from movieapp.catalogue.errors import PartUnavailable
from movieapp.catalogue.selectors import movie_details, movies_details
from movieapp.rpc.deadlines import remaining
from protos.movieapp.v1 import movie_pb2, movie_pb2_grpc, rating_pb2
from protos.tutorial import movie_pb2 as tutorial_pb2
from protos.tutorial import movie_pb2_grpc as tutorial_pb2_grpc

_PARTS: Mapping[DetailsPart, movie_pb2.DetailsPart.ValueType] = {
    DetailsPart.METADATA: movie_pb2.DETAILS_PART_METADATA,
    DetailsPart.RATING: movie_pb2.DETAILS_PART_RATING,
}


class MovieServicer(movie_pb2_grpc.MovieServiceServicer):
    """See the .proto file. Domain errors go out as they are."""

    def GetMovieDetails(
        self, request: movie_pb2.GetMovieDetailsRequest, context: grpc.ServicerContext
    ) -> movie_pb2.GetMovieDetailsResponse:
        """One movie with its rating."""
        movie_id = checked_request_id(request.movie_id, field="movie_id")
        details = movie_details(movie_id=movie_id, within=remaining(context))
        return movie_pb2.GetMovieDetailsResponse(
            metadata=metadata_message(details.metadata) if details.metadata else None,
            rating=_rating_message(details.rating),
            unavailable=_parts(details.unavailable),
        )

    def BatchGetMovieDetails(
        self, request: movie_pb2.BatchGetMovieDetailsRequest, context: grpc.ServicerContext
    ) -> movie_pb2.BatchGetMovieDetailsResponse:
        """Many movies with their ratings, in the order of the request."""
        found = movies_details(movie_ids=movie_ids_of(request.movie_ids), within=remaining(context))
        return movie_pb2.BatchGetMovieDetailsResponse(
            movies=[
                movie_pb2.MovieDetails(
                    metadata=metadata_message(details.metadata) if details.metadata else None,
                    rating=_rating_message(details.rating),
                )
                for details in found.movies
            ],
            missing_movie_ids=found.missing,
            unavailable=_parts(found.unavailable),
        )


class TutorialMovieServicer(tutorial_pb2_grpc.MovieServiceServicer):
    """The same under the un-packaged name, whose message has no word for "unknown": there that is an error."""

    def GetMovieDetails(
        self, request: tutorial_pb2.GetMovieDetailsRequest, context: grpc.ServicerContext
    ) -> tutorial_pb2.GetMovieDetailsResponse:
        """One movie with the mean of its ratings, 0 where nobody has rated it."""
        movie_id = checked_request_id(request.movie_id, field="movie_id")
        details = movie_details(movie_id=movie_id, within=remaining(context))
        if details.unavailable:
            missing = " and ".join(part.value for part in details.unavailable)
            raise PartUnavailable(f"{missing} cannot be had just now: try again in a few seconds")
        return tutorial_pb2.GetMovieDetailsResponse(
            movie_details=tutorial_pb2.MovieDetails(
                rating=details.rating.average if details.rating else 0.0,
                Metadata=tutorial_message(details.metadata) if details.metadata else None,
            )
        )


def _rating_message(rating: MovieRating | None) -> rating_pb2.AggregatedRating | None:
    if rating is None:
        return None
    return rating_pb2.AggregatedRating(average=rating.average, count=rating.count, version=rating.version)


def _parts(unavailable: Iterable[DetailsPart]) -> list[movie_pb2.DetailsPart.ValueType]:
    return [_PARTS[part] for part in unavailable]
