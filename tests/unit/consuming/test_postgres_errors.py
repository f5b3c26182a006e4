"""What an error of Postgres is taken for, where no server can be brought to raise it in a test."""

from types import SimpleNamespace

import psycopg
import pytest
from django.apps import apps
from psycopg import errors

from workers.ingestion.errors import StoreUnavailable
from workers.ingestion.postgres_errors import named_troubles, refusal_of

OF_RATINGS = {"ratings_record", "ratings_rater", "ratings_rating", "ratings_recordaggregate"}
NO_IDS_LEFT = 'database is not accepting commands to avoid wraparound data loss in database "ratings"'


def told(error: type[psycopg.Error], words: str = "it is rater 7", **about: str) -> psycopg.Error:
    """An error as the server tells it, with these fields."""
    fields = {"constraint_name", "table_name", "column_name", "context", "source_function"}
    diag = SimpleNamespace(**{**dict.fromkeys(fields), **about})
    return type(error.__name__, (error,), {"diag": diag})(words)


@pytest.mark.parametrize("function", ["GetNewTransactionId", "GetNewMultiXactId"])
@pytest.mark.parametrize("context", ["", 'SQL statement "INSERT INTO audit"\nPL/pgSQL function refuse() line 2'])
def test_a_server_without_transaction_ids_is_waited_for_and_says_so(function, context):
    words = f"{NO_IDS_LEFT}\nHINT:  Execute a database-wide VACUUM in that database."
    error = told(errors.ProgramLimitExceeded, words, source_function=function, context=context)
    assert refusal_of(error) is None
    with pytest.raises(StoreUnavailable) as waited, named_troubles():
        raise error
    assert str(waited.value) == NO_IDS_LEFT


def test_any_other_limit_is_an_events():
    refusal = refusal_of(told(errors.ProgramLimitExceeded, source_function="index_form_tuple_context"))
    assert refusal is not None
    assert refusal.reason == "the database refuses it: ProgramLimitExceeded (SQLSTATE 54000)"


def test_of_our_own_tables_only_those_of_the_ratings_are_an_events():
    tables = {
        model._meta.db_table for model in apps.get_models() if model.__module__.startswith(("ratings", "workers"))
    }
    assert tables > OF_RATINGS
    assert {table for table in tables if refusal_of(told(errors.CheckViolation, table_name=table))} == OF_RATINGS


def test_a_table_that_is_not_ours_is_an_events_too():
    assert refusal_of(told(errors.UniqueViolation, table_name="audit"))
