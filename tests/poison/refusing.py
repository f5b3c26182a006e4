"""A database with rules of its own, and valid events that it refuses."""

import pytest

from tests.poison.messages import Oddity, event
from tests.rating_tables import own_connection

REFUSE = """
ALTER TABLE ratings_rater ADD CONSTRAINT no_robots CHECK (user_id NOT LIKE 'robot%');
CREATE FUNCTION refuse_unlucky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.value = 13 THEN RAISE EXCEPTION 'rater % is out of luck', NEW.rater_id; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER unlucky BEFORE INSERT OR UPDATE ON ratings_rating FOR EACH ROW EXECUTE FUNCTION refuse_unlucky();
CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.value = 17 THEN RAISE check_violation USING TABLE = TG_TABLE_NAME, CONSTRAINT = 'late'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON ratings_rating DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_late();
"""
ALLOW = """
ALTER TABLE ratings_rater DROP CONSTRAINT IF EXISTS no_robots;
DROP FUNCTION IF EXISTS refuse_unlucky, refuse_late CASCADE;
"""
REFUSED = tuple(
    Oddity(name=name, value=event(recordType="refused", **changes), field=field, reason=reason)
    for name, changes, field, reason in (
        (
            "a constraint on a rater",
            {"userId": "robot 1"},
            "userId",
            "(SQLSTATE 23514), table ratings_rater, constraint no_robots",
        ),
        ("another such", {"userId": "robot 2", "eventType": "delete"}, "userId", "no_robots"),
        ("a trigger", {"userId": "a", "ratingValue": 1.3}, "", "(SQLSTATE P0001), function refuse_unlucky"),
        ("a trigger on a known rating", {"userId": "b", "ratingValue": 1.3}, "", "refuse_unlucky"),
        (
            "a deferred constraint",
            {"userId": "c", "ratingValue": 1.7},
            "",
            "(SQLSTATE 23514), table ratings_rating, constraint late",
        ),
    )
)


@pytest.fixture
def refusing(transactional_db):
    """A database with rules of its own."""
    with own_connection() as owner:
        owner.execute(REFUSE)
    yield
    with own_connection() as owner:
        owner.execute(ALLOW)
