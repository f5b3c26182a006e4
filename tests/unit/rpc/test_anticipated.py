"""The one table: each anticipated error has its status over HTTP and over gRPC, and words that give nothing away."""

import grpc
import psycopg
import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from metadata.errors import InvalidMovie, MetadataError, MovieNotFound
from movieapp.anticipated import ANSWERS, NO_ANSWER, answer_to, is_trouble_of_database, words_for
from movieapp.catalogue.errors import CatalogueError, PartUnavailable
from movieapp.rpc.errors import CallError, Expired, NotPermitted, Unauthenticated
from ratings.errors import InvalidRating, RatingNotFound, RatingsError
from workers.discovery.errors import DiscoveryError, NoInstance

ROOTS = (MetadataError, RatingsError, CatalogueError, CallError, DiscoveryError)


class OfATrigger(psycopg.DatabaseError):
    """What a trigger raises under a code of its own."""

    sqlstate = "MV001"


def below(kind):
    return {kind}.union(*(below(one) for one in kind.__subclasses__()))


def wrapped(error, cause):
    error.__cause__ = cause
    return error


def test_every_error_of_ours_has_a_row_or_never_reaches_a_caller():
    found = set().union(*(below(root) for root in ROOTS)) - set(ROOTS)
    ours = {kind for kind in found if not kind.__module__.startswith("tests.")}
    assert {kind for kind in ours if kind not in ANSWERS and kind not in NO_ANSWER} == set()
    assert not NO_ANSWER & ANSWERS.keys()


def test_every_status_is_one_of_grpcs():
    assert {answer.grpc for answer in ANSWERS.values()} <= {code.name for code in grpc.StatusCode}


@pytest.mark.parametrize(
    ("error", "http", "code"),
    [
        (InvalidMovie("year", "it is not"), 400, "INVALID_ARGUMENT"),
        (InvalidRating("value", "it is not"), 400, "INVALID_ARGUMENT"),
        (MovieNotFound("7"), 404, "NOT_FOUND"),
        (RatingNotFound("ratings not found for the record"), 404, "NOT_FOUND"),
        (Unauthenticated("who are you?"), 401, "UNAUTHENTICATED"),
        (NotPermitted("not you"), 403, "PERMISSION_DENIED"),
        (Expired("too late"), 504, "DEADLINE_EXCEEDED"),
        (PartUnavailable("no rating"), 503, "UNAVAILABLE"),
        (NoInstance(service="ratings", known_from="static"), 503, "UNAVAILABLE"),
        (OperationalError("at 10.0.0.5"), 503, "UNAVAILABLE"),
        (InterfaceError("closed"), 503, "UNAVAILABLE"),
        (wrapped(IntegrityError("Titanic"), psycopg.errors.CheckViolation("Titanic")), 409, "FAILED_PRECONDITION"),
        (wrapped(DataError("Titanic"), psycopg.errors.NumericValueOutOfRange("Titanic")), 409, "FAILED_PRECONDITION"),
        (wrapped(ProgrammingError("x"), psycopg.errors.RaiseException("Titanic")), 409, "FAILED_PRECONDITION"),
        (wrapped(InternalError("x"), psycopg.errors.NoDataFound("Titanic")), 409, "FAILED_PRECONDITION"),
        (wrapped(DatabaseError("x"), OfATrigger("Titanic")), 409, "FAILED_PRECONDITION"),
        (wrapped(InternalError("x"), psycopg.errors.ReadOnlySqlTransaction("x")), 503, "UNAVAILABLE"),
    ],
)
def test_each_has_both_statuses(error, http, code):
    answer = answer_to(error)
    assert (answer.http, answer.grpc) == (http, code)


def test_a_kind_of_an_anticipated_error_is_one_too():
    class Worse(MovieNotFound):
        pass

    assert answer_to(Worse("7")).grpc == "NOT_FOUND"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        IntegrityError("a bug"),
        wrapped(ProgrammingError("no table"), psycopg.errors.UndefinedTable("no table")),
        wrapped(DataError("no more ids"), psycopg.errors.SequenceGeneratorLimitExceeded("no more ids")),
    ],
)
def test_a_bug_has_none(error):
    assert answer_to(error) is None


def test_words_repeat_ours_and_never_the_databases():
    assert words_for(InvalidMovie("year", "it is not")) == "year: it is not"
    assert words_for(Expired("too late")) == "too late"
    assert words_for(NoInstance(service="ratings", known_from="static")) == "No instance of ratings is known (static)."
    for error in (
        OperationalError("at 10.0.0.5"),
        wrapped(IntegrityError("Titanic"), psycopg.errors.CheckViolation("Titanic")),
    ):
        assert "10.0.0.5" not in words_for(error)
        assert "Titanic" not in words_for(error)
    assert "SQLSTATE 23514" in words_for(wrapped(IntegrityError("x"), psycopg.errors.CheckViolation("x")))


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (psycopg.errors.LockNotAvailable, "somebody else holds a lock that this needs: try again in a few seconds"),
        (psycopg.errors.QueryCanceled, "the database took too long over it: try again in a few seconds"),
        (psycopg.errors.ReadOnlySqlTransaction, "the database takes no writes now: try again in a few seconds"),
        (psycopg.errors.DeadlockDetected, "somebody else wrote the same at the same time: try again"),
        (psycopg.errors.AdminShutdown, "the database does not answer: try again in a few seconds"),
    ],
)
def test_a_trouble_of_the_database_is_told_for_what_it_is(cause, words):
    error = wrapped((InternalError if issubclass(cause, psycopg.InternalError) else OperationalError)("x"), cause("x"))
    assert answer_to(error).grpc == "UNAVAILABLE"
    assert words_for(error) == words
    assert is_trouble_of_database(error)


def test_a_rule_of_the_database_is_no_trouble_of_it():
    assert not is_trouble_of_database(wrapped(IntegrityError("x"), psycopg.errors.CheckViolation("x")))
    assert not is_trouble_of_database(MovieNotFound("7"))
