"""Movie details from the metadata and ratings services, both asked at once."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

import structlog

from metadata.drafts import checked_movie_id
from metadata.errors import InvalidMovie, MovieNotFound
from metadata.models import Movie
from movieapp.catalogue.clients import DetailsClients, ServiceClient
from movieapp.catalogue.details import MOVIE_RECORD_TYPE, DetailsPart, ManyDetails, MovieDetails, MovieRating
from movieapp.catalogue.errors import PartUnavailable
from movieapp.rpc.deadlines import to_pass_on
from movieapp.rpc.errors import TooLarge
from protos.movieapp.v1 import metadata_pb2, rating_pb2
from workers.discovery.errors import NoInstance

log = structlog.get_logger(__name__)
M = TypeVar("M")
S = TypeVar("S")

_METADATA, _RATING = DetailsPart.METADATA, DetailsPart.RATING
_TOO_LARGE = "the answer has "
"""How a server of ours begins that has more to say than a caller takes: asking again would not help."""
_REASONS = {
    "UNAVAILABLE": "nobody answers",
    "DEADLINE_EXCEEDED": "no answer came in time",
    "OK": "the answer lacked some of it",
}


@dataclass(frozen=True, slots=True)
class _Had(Generic[M]):
    """What came of asking for one part: a message, or none as there is no such thing, or why it could not be had."""

    part: DetailsPart
    message: M | None = None
    failure: PartUnavailable | NoInstance | TooLarge | None = None

    @property
    def is_missing(self) -> bool:
        return self.message is None and self.failure is None


class _Asked(Generic[M]):
    """A call for one part, given up at the end of the block; where nobody can be asked it has failed already.

    An answer without what was asked for is none: `is_whole` tells.
    """

    def __init__(self, part: DetailsPart, begin: Callable[[], Any], *, is_whole: Callable[[M], bool]) -> None:
        self._part = part
        self._is_whole = is_whole
        self._call: Any = None
        self._failure: NoInstance | None = None
        try:
            self._call = begin()
        except NoInstance as error:
            self._failure = error

    def __enter__(self) -> "_Asked[M]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._call is not None:
            self._call.cancel()

    def had(self) -> _Had[M]:
        """What came of it, once it is over, which its deadline sees to. Raises InvalidMovie."""
        if self._call is None:
            return _Had(self._part, failure=self._failure)
        code, words = self._call.code().name, self._call.details() or ""
        if code == "OK" and self._is_whole(message := self._call.result()):
            return _Had(self._part, message=message)
        if code == "NOT_FOUND":
            return _Had(self._part)
        if code == "INVALID_ARGUMENT":
            raise InvalidMovie("", words)
        log.warning("part_unavailable", part=self._part.value, code=code, reason=words)
        return _Had(self._part, failure=_failure(self._part, code, words))


class GrpcDetails:
    """See DetailsSource. Each part has the caller's time but a margin, or `longest` seconds where that is less.

    With `partial` a part that cannot be had is `unavailable`, without it an error; both parts always are.
    """

    def __init__(self, clients: DetailsClients, *, partial: bool, longest: float) -> None:
        self.clients = clients
        self._partial = partial
        self._longest = longest

    def one(self, movie_id: str, *, within: float) -> MovieDetails:
        """See DetailsSource.one."""
        checked = checked_movie_id(movie_id)
        until = self._until(within)
        with self._ask_metadata(checked, until) as asked_metadata, self._ask_rating(checked, until) as asked_rating:
            metadata = asked_metadata.had()
            if metadata.is_missing:
                raise MovieNotFound(checked)
            if metadata.failure is not None and not self._partial:
                raise metadata.failure
            rating = asked_rating.had()
        return MovieDetails(
            metadata=_movie(metadata.message.metadata) if metadata.message else None,
            rating=_movie_rating(rating.message.rating) if rating.message else None,
            unavailable=self._accepted(metadata, rating),
        )

    def many(self, movie_ids: Sequence[str], *, within: float) -> ManyDetails:
        """See DetailsSource.many."""
        until = self._until(within)
        with self._ask_all_metadata(movie_ids, until) as asked_metadata, self._ask_ratings(movie_ids, until) as asked:
            metadata = asked_metadata.had()
            if metadata.message is None:
                raise metadata.failure or _failure(_METADATA, "NOT_FOUND")
            ratings = asked.had()
        found = ratings.message.ratings if ratings.message else ()
        rated = {one.record.id: _movie_rating(one.rating) for one in found if one.HasField("rating")}
        return ManyDetails(
            movies=[MovieDetails(_movie(one), rated.get(one.id)) for one in metadata.message.metadata],
            missing=list(metadata.message.missing_movie_ids),
            unavailable=self._accepted(metadata, ratings),
        )

    def _ask_metadata(self, movie_id: str, until: float) -> _Asked[metadata_pb2.GetMetadataResponse]:
        wanted = metadata_pb2.GetMetadataRequest(movie_id=movie_id)
        client = self.clients.metadata
        return _Asked(
            _METADATA,
            lambda: _begun(client, lambda stub: stub.GetMetadata, wanted, until),
            is_whole=lambda answer: answer.HasField("metadata"),
        )

    def _ask_rating(self, movie_id: str, until: float) -> _Asked[rating_pb2.GetAggregatedRatingResponse]:
        wanted = rating_pb2.GetAggregatedRatingRequest(record_type=MOVIE_RECORD_TYPE, record_id=movie_id)
        client = self.clients.ratings
        return _Asked(
            _RATING,
            lambda: _begun(client, lambda stub: stub.GetAggregatedRating, wanted, until),
            is_whole=lambda answer: answer.HasField("rating"),
        )

    def _ask_all_metadata(
        self, movie_ids: Sequence[str], until: float
    ) -> _Asked[metadata_pb2.BatchGetMetadataResponse]:
        wanted = metadata_pb2.BatchGetMetadataRequest(movie_ids=movie_ids)
        client = self.clients.metadata
        return _Asked(
            _METADATA,
            lambda: _begun(client, lambda stub: stub.BatchGetMetadata, wanted, until),
            is_whole=lambda answer: {one.id for one in answer.metadata}.union(answer.missing_movie_ids) >= {*movie_ids},
        )

    def _ask_ratings(
        self, movie_ids: Sequence[str], until: float
    ) -> _Asked[rating_pb2.BatchGetAggregatedRatingsResponse]:
        records = [rating_pb2.Record(type=MOVIE_RECORD_TYPE, id=movie_id) for movie_id in movie_ids]
        wanted = rating_pb2.BatchGetAggregatedRatingsRequest(records=records)
        client = self.clients.ratings
        return _Asked(
            _RATING,
            lambda: _begun(client, lambda stub: stub.BatchGetAggregatedRatings, wanted, until),
            is_whole=lambda answer: {one.record.id for one in answer.ratings} >= {*movie_ids},
        )

    def _until(self, within: float) -> float:
        """When the calls' time is over. Raises Expired."""
        return time.monotonic() + to_pass_on(within, longest=self._longest)

    def _accepted(self, *parts: _Had[Any]) -> tuple[DetailsPart, ...]:
        """The parts that the answer goes without. Raises what kept them from us where that is no answer."""
        failures = {part.part: part.failure for part in parts if part.failure is not None}
        if failures and (not self._partial or len(failures) == len(parts)):
            raise next(iter(failures.values()))
        return tuple(failures)


def _begun(client: ServiceClient[S], method: Callable[[S], Any], wanted: object, until: float) -> Any:
    """The call, under way. Raises NoInstance."""
    stub = client.stub(patience=(until - time.monotonic()) / 2)
    return method(stub).future(wanted, timeout=until - time.monotonic())


def _failure(part: DetailsPart, code: str, words: str = "") -> PartUnavailable | TooLarge:
    """What a caller is told. The words of another process's gRPC may name hosts and are for the log alone."""
    if code == "RESOURCE_EXHAUSTED" and words.startswith(_TOO_LARGE):
        return TooLarge(words)
    reason = _REASONS.get(code, f"the answer was {code}")
    return PartUnavailable(f"{part.value} cannot be had just now, as {reason}: try again in a few seconds")


def _movie(message: metadata_pb2.Metadata) -> Movie:
    return Movie(
        id=message.id,
        title=message.title,
        description=message.description,
        director=message.director,
        year=message.year if message.HasField("year") else None,
        genres=list(message.genres),
    )


def _movie_rating(message: rating_pb2.AggregatedRating) -> MovieRating:
    return MovieRating(average=message.average, count=message.count, version=message.version)
