"""A database whose owner may give it rules of their own, which are gone afterwards."""

from contextlib import closing

import pytest

from tests.refusing_rules import ALLOW


@pytest.fixture
def owner(transactional_db):
    from tests.rating_tables import own_connection

    with own_connection() as owner:
        yield owner
        owner.execute(ALLOW)


@pytest.fixture
def database(owner):
    from tests.ingestion_stores import PostgresDatabase  # models, for which Django has to be there

    with closing(PostgresDatabase()) as database:
        yield database
