"""MetadataService under both its names: a message in, one domain call, a message out."""

from collections.abc import Sequence

import grpc

from metadata.drafts import MovieDraft, checked_movie_id, movie_draft
from metadata.errors import InvalidMovie
from metadata.models import Movie
from metadata.selectors import movie_get, movies_get
from metadata.services import movie_put
from protos.movieapp.v1 import metadata_pb2, metadata_pb2_grpc
from protos.tutorial import movie_pb2, movie_pb2_grpc

MOST_MOVIES = 1_000
"""How many movies one request may name."""

_TUTORIAL_FIELDS = frozenset({"title", "description", "director"})


class MetadataServicer(metadata_pb2_grpc.MetadataServiceServicer):
    """See the .proto file. Domain errors go out as they are."""

    def GetMetadata(
        self, request: metadata_pb2.GetMetadataRequest, context: grpc.ServicerContext
    ) -> metadata_pb2.GetMetadataResponse:
        """One movie."""
        return metadata_pb2.GetMetadataResponse(metadata=metadata_message(movie_get(movie_id=movie_id_of(request))))

    def BatchGetMetadata(
        self, request: metadata_pb2.BatchGetMetadataRequest, context: grpc.ServicerContext
    ) -> metadata_pb2.BatchGetMetadataResponse:
        """Many movies, in the order of the request."""
        wanted = movie_ids_of(request.movie_ids)
        found = movies_get(movie_ids=wanted)
        return metadata_pb2.BatchGetMetadataResponse(
            metadata=[metadata_message(found[movie_id]) for movie_id in wanted if movie_id in found],
            missing_movie_ids=[movie_id for movie_id in wanted if movie_id not in found],
        )

    def PutMetadata(
        self, request: metadata_pb2.PutMetadataRequest, context: grpc.ServicerContext
    ) -> metadata_pb2.PutMetadataResponse:
        """Makes the movie or replaces it whole."""
        movie_put(_draft(request))
        return metadata_pb2.PutMetadataResponse()


class TutorialMetadataServicer(movie_pb2_grpc.MetadataServiceServicer):
    """The same under the un-packaged name. A put leaves alone what its message cannot say: year and genres."""

    def GetMetadata(
        self, request: movie_pb2.GetMetadataRequest, context: grpc.ServicerContext
    ) -> movie_pb2.GetMetadataResponse:
        """One movie."""
        return movie_pb2.GetMetadataResponse(metadata=tutorial_message(movie_get(movie_id=movie_id_of(request))))

    def PutMetadata(
        self, request: movie_pb2.PutMetadataRequest, context: grpc.ServicerContext
    ) -> movie_pb2.PutMetadataResponse:
        """Makes the movie or changes it."""
        movie_put(_tutorial_draft(request))
        return movie_pb2.PutMetadataResponse()


def movie_id_of(request: metadata_pb2.GetMetadataRequest | movie_pb2.GetMetadataRequest) -> str:
    """The id that a request names. Raises InvalidMovie, which names the field as the wire does."""
    return checked_request_id(request.movie_id, field="movie_id")


def movie_ids_of(movie_ids: Sequence[str]) -> list[str]:
    """The ids of a list, in its order and each once. Raises InvalidMovie, as "movie_ids[3]: …"."""
    if len(movie_ids) > MOST_MOVIES:
        raise InvalidMovie("movie_ids", f"it has {len(movie_ids)} entries: at most {MOST_MOVIES}")
    return list(
        dict.fromkeys(checked_request_id(one, field=f"movie_ids[{place}]") for place, one in enumerate(movie_ids))
    )


def checked_request_id(movie_id: str, *, field: str) -> str:
    """The id. Raises InvalidMovie for this field."""
    try:
        return checked_movie_id(movie_id)
    except InvalidMovie as error:
        raise InvalidMovie(field, error.reason) from None


def metadata_message(movie: Movie) -> metadata_pb2.Metadata:
    """The movie as movieapp.v1 shows it."""
    return metadata_pb2.Metadata(
        id=movie.id,
        title=movie.title,
        description=movie.description,
        director=movie.director,
        year=movie.year,
        genres=movie.genres,
    )


def tutorial_message(movie: Movie) -> movie_pb2.Metadata:
    """The movie as the tutorial's clients know it."""
    return movie_pb2.Metadata(id=movie.id, title=movie.title, description=movie.description, director=movie.director)


def _draft(request: metadata_pb2.PutMetadataRequest) -> MovieDraft:
    if not request.HasField("metadata"):
        raise InvalidMovie("metadata", "it is missing")
    movie = request.metadata
    return movie_draft(
        movie_id=movie.id,
        title=movie.title,
        description=movie.description,
        director=movie.director,
        year=movie.year if movie.HasField("year") else None,
        genres=tuple(movie.genres),
    )


def _tutorial_draft(request: movie_pb2.PutMetadataRequest) -> MovieDraft:
    if not request.HasField("metadata"):
        raise InvalidMovie("metadata", "it is missing")
    movie = request.metadata
    return movie_draft(
        movie_id=movie.id,
        title=movie.title,
        description=movie.description,
        director=movie.director,
        carried=_TUTORIAL_FIELDS,
    )
