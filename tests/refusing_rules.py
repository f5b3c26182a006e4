"""Rules of a deployment's own, by which its database refuses valid ratings."""

BAD = 13
WORSE = 17

RAISE = """
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.value = 13 THEN RAISE EXCEPTION 'it is rater %%', NEW.rater_id USING {bad}; END IF;
    IF NEW.value = 17 THEN RAISE EXCEPTION 'it is rater %%', NEW.rater_id USING {worse}; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ratings_rating FOR EACH ROW EXECUTE FUNCTION refuse();
"""
ALLOW = """
DROP FUNCTION IF EXISTS refuse CASCADE;
ALTER TABLE ratings_record DROP CONSTRAINT IF EXISTS rule;
ALTER TABLE ratings_rater DROP CONSTRAINT IF EXISTS rule;
ALTER TABLE ratings_rating DROP CONSTRAINT IF EXISTS rule;
ALTER TABLE ratings_recordaggregate DROP CONSTRAINT IF EXISTS rule;
ALTER TABLE ingestion_deadletter DROP CONSTRAINT IF EXISTS rule;
ALTER TABLE ingestion_consumeroffset DROP CONSTRAINT IF EXISTS rule;
DROP FUNCTION IF EXISTS long_text CASCADE;
"""


def refuse(owner, *, bad, worse="ERRCODE = '53100'"):
    owner.execute(RAISE.replace("%%", "%").format(bad=bad, worse=worse))


def assert_nothing_written(database, store):
    assert (database.standing(), database.letters(), store.positions()) == ({}, [], {0: 0})
