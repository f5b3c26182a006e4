"""The one table of anticipated errors: what each is over HTTP and over gRPC, and the words for whoever called."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError

from metadata.errors import InvalidMovie, MetadataError, MovieNotFound, MoviesTooLarge
from movieapp.catalogue.errors import CannotServe, CatalogueError, PartUnavailable
from movieapp.rpc.errors import (
    CallError,
    Expired,
    MalformedMessage,
    MethodWithoutRule,
    MetricsPortTaken,
    NotPermitted,
    StreamEnded,
    TooLarge,
    TooManyStreams,
    TooMuchUnsent,
    Unauthenticated,
    UnusableCredentials,
)
from ratings.errors import (
    AggregateMissing,
    InvalidRating,
    RatingNotFound,
    RatingsError,
    RecordNotFound,
    StaleIds,
    StreamIdle,
    TooManyWatches,
    WatchBlind,
)
from ratings.refusals import is_refusal, refusal_words
from workers.discovery.errors import NoInstance, NotRegistered, RegistryUnavailable, UnusableSetting

UNEXPECTED = "an unexpected error; the log has its reason"
"""What a caller is told of an error that nobody anticipated."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an error is to a caller. `grpc` names a grpc.StatusCode: the web process does not import grpc."""

    http: HTTPStatus
    grpc: str


_INVALID = Answer(HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT")
_MISSING = Answer(HTTPStatus.NOT_FOUND, "NOT_FOUND")
_AWAY = Answer(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE")
_TOO_LARGE = Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RESOURCE_EXHAUSTED")
_REFUSED = Answer(HTTPStatus.CONFLICT, "FAILED_PRECONDITION")

ANSWERS: Mapping[type[Exception], Answer] = {
    InvalidMovie: _INVALID,
    InvalidRating: _INVALID,
    MalformedMessage: _INVALID,
    MovieNotFound: _MISSING,
    RatingNotFound: _MISSING,
    Unauthenticated: Answer(HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED"),
    NotPermitted: Answer(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED"),
    MoviesTooLarge: _TOO_LARGE,
    TooLarge: _TOO_LARGE,
    TooManyStreams: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "RESOURCE_EXHAUSTED"),
    TooMuchUnsent: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "RESOURCE_EXHAUSTED"),
    TooManyWatches: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "RESOURCE_EXHAUSTED"),
    Expired: Answer(HTTPStatus.GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
    StreamIdle: Answer(HTTPStatus.GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
    PartUnavailable: _AWAY,
    NoInstance: _AWAY,
    StreamEnded: _AWAY,
    WatchBlind: _AWAY,
    OperationalError: _AWAY,
    InterfaceError: _AWAY,
}
"""By the error's class or the nearest one above it. What a rule of the database refuses is told by its SQLSTATE."""

NO_ANSWER = frozenset(
    {
        RecordNotFound,
        StaleIds,
        AggregateMissing,
        CannotServe,
        MethodWithoutRule,
        MetricsPortTaken,
        UnusableCredentials,
        NotRegistered,
        RegistryUnavailable,
        UnusableSetting,
    }
)
"""Errors of ours that no caller can cause: they are handled inside, end a start, or are a fault that the log tells."""

# The database takes no writes: a standby, as after a failover, or one that somebody has set so.
_READ_ONLY = "25006"
_IS_AWAY = "the database does not answer: try again in a few seconds"
# What it says of the moment, by SQLSTATE, where that is not that it is away.
_OF_THE_MOMENT = {
    _READ_ONLY: "the database takes no writes now: try again in a few seconds",
    "40001": "somebody else wrote the same at the same time: try again",
    "40P01": "somebody else wrote the same at the same time: try again",
    "55P03": "somebody else holds a lock that this needs: try again in a few seconds",
    "57014": "the database took too long over it: try again in a few seconds",
}


def answer_to(error: Exception) -> Answer | None:
    """What the error is to a caller, or None for one that nobody anticipated."""
    cause = error.__cause__
    if isinstance(error, DatabaseError) and isinstance(cause, psycopg.Error):
        if is_refusal(cause):
            return _REFUSED
        if cause.sqlstate == _READ_ONLY:
            return _AWAY
    return next((ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS), None)


def is_trouble_of_database(error: Exception) -> bool:
    """Whether the database is at fault for it, and neither the caller nor we are."""
    return isinstance(error, DatabaseError | InterfaceError) and answer_to(error) is _AWAY


def words_for(error: Exception) -> str:
    """What a caller may be told of an anticipated error: never a database's own words, which name hosts and rows."""
    if isinstance(error, MetadataError | RatingsError | CatalogueError | CallError | NoInstance):
        return str(error)
    cause = error.__cause__
    if not isinstance(cause, psycopg.Error):
        return _IS_AWAY
    return refusal_words(cause) if is_refusal(cause) else _OF_THE_MOMENT.get(cause.sqlstate or "", _IS_AWAY)
