"""What the group does, as the database sees it: where it stands, who wrote what, and gates that hold its writes up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.waiting import wait_until

_GATES = 0x6B696C6C  # the first half of the gates' advisory locks
WRITING, COMMITTING = 1, 2
_ARRIVING = 1_000  # and the number of a member

# Each advance passes three gates: before it has looked at any row, in the middle of the batch's transaction, and inside
# its COMMIT. An open gate holds nobody up. What is rolled back leaves no trace, and each partition's rows are in order.
_INSTALL = f"""
CREATE SCHEMA kills;
CREATE TABLE kills.step (
    id bigint GENERATED ALWAYS AS IDENTITY, topic text, partition int, epoch bigint, came_from bigint, went_to bigint,
    member text DEFAULT current_setting('application_name')
);
CREATE TABLE kills.attempt (rating_id bigint);
CREATE FUNCTION kills.note_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO kills.step (topic, partition, epoch, came_from, went_to)
    VALUES (new.topic, new.partition, new.epoch, CASE WHEN tg_op = 'UPDATE' THEN old.next_offset END, new.next_offset);
    RETURN NULL;
END $$;
CREATE FUNCTION kills.note_attempt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO kills.attempt VALUES (new.id);
    RETURN new;
END $$;
CREATE FUNCTION kills.pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_advisory_xact_lock_shared({_GATES}, tg_argv[0]::int);
    PERFORM pg_notify('kills', new.topic || ' ' || current_setting('application_name'));
    RETURN NULL;
END $$;
CREATE FUNCTION kills.arrive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_advisory_xact_lock_shared({_GATES}, {_ARRIVING} + number::int)
    FROM substring(current_setting('application_name') FROM 'member-(.*)') AS number
    WHERE current_query() LIKE '%end_offset%'; -- an advance; a take-over is not held up
    RETURN NULL;
END $$;
CREATE TRIGGER kills_arriving BEFORE UPDATE ON ingestion_consumeroffset
    FOR EACH STATEMENT EXECUTE FUNCTION kills.arrive();
CREATE TRIGGER kills_step AFTER INSERT OR UPDATE ON ingestion_consumeroffset
    FOR EACH ROW EXECUTE FUNCTION kills.note_step();
CREATE TRIGGER kills_attempt BEFORE INSERT ON ratings_rating FOR EACH ROW EXECUTE FUNCTION kills.note_attempt();
CREATE TRIGGER kills_writing AFTER UPDATE ON ingestion_consumeroffset
    FOR EACH ROW WHEN (old.epoch = new.epoch) EXECUTE FUNCTION kills.pass_gate('{WRITING}');
CREATE CONSTRAINT TRIGGER kills_committing AFTER UPDATE ON ingestion_consumeroffset DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (old.epoch = new.epoch) EXECUTE FUNCTION kills.pass_gate('{COMMITTING}');
"""
_WAITING = f"""
SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid)
WHERE locktype = 'advisory' AND classid = {_GATES} AND objid = %s AND NOT granted AND datname = current_database()
"""
_CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE %s
"""
_LAST_TAKEN = """
SELECT DISTINCT ON (partition) partition, member FROM kills.step WHERE topic = %s ORDER BY partition, epoch DESC, id
"""
_STEPS = "SELECT partition, epoch, came_from, went_to, member FROM kills.step WHERE topic = %s ORDER BY id"


class Watch:
    """A session of its own on the group's database, made anew when it breaks; for one thread."""

    def __init__(self, url: str, topic: str) -> None:
        self.topic = topic
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None

    def again(self) -> "Watch":
        """Another session, for another thread."""
        return Watch(self._url, self.topic)

    def position(self) -> int | None:
        """How many messages the group has passed in all partitions; None while the database is away."""
        statement = "SELECT coalesce(sum(next_offset), 0)::bigint FROM ingestion_consumeroffset WHERE topic = %s"
        try:
            return int(self.rows(statement, self.topic)[0][0])
        except psycopg.Error:
            self.close()
            return None

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.connection.execute(statement, parameters).fetchall()

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """The session, in autocommit."""
        if self._connection is None:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
        return self._connection

    def close(self) -> None:
        """Ends the session."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _where(self) -> str:
        where = "SELECT partition, next_offset FROM ingestion_consumeroffset WHERE topic = %s ORDER BY partition"
        try:
            return str(dict(self.rows(where, self.topic)))
        except psycopg.Error as error:
            return str(error)

    # --- Who did what -------------------------------------------------------------------------------------------------

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Notes every step of every position and every attempt at a rating, and has the gates."""
        self.connection.execute(_INSTALL)
        try:
            yield
        finally:
            self.connection.execute("DROP SCHEMA kills CASCADE")

    def owners(self) -> dict[int, str]:
        """Who took each partition last."""
        return dict(self.rows(_LAST_TAKEN, self.topic))

    def is_at_work(self, member: str) -> bool:
        """Whether the member has a statement or a transaction open."""
        busy = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND state <> 'idle'"
        return bool(self.rows(busy, member))

    def cut(self, members: str = "member-%") -> int:
        """Ends the sessions of these members, whatever they do; returns how many."""
        return len(self.rows(_CUT, members))

    def assert_only_owners_wrote(self) -> None:
        """Whoever advanced a position was the last to have taken the partition, and nobody went back in it."""
        owners: dict[int, tuple[int, str]] = {}
        for partition, epoch, came_from, went_to, member in self.rows(_STEPS, self.topic):
            if partition not in owners or epoch > owners[partition][0]:
                owners[partition] = epoch, member
                continue
            assert (epoch, member) == owners[partition], f"{member} wrote into partition {partition} of {owners}"
            assert came_from <= went_to, f"{member} went back in partition {partition} from {came_from} to {went_to}"

    def steps_back(self) -> int:
        """How often a member began in a partition before where the one before it had come to."""
        back = "SELECT count(*) FROM kills.step WHERE topic = %s AND went_to < came_from"
        return int(self.rows(back, self.topic)[0][0])

    def attempted_twice(self) -> int:
        """How many ratings were written, and committed, more than once."""
        twice = "SELECT count(*) FROM (SELECT 1 FROM kills.attempt GROUP BY rating_id HAVING count(*) > 1) AS twice"
        return int(self.rows(twice)[0][0])

    # --- Moments ------------------------------------------------------------------------------------------------------

    @contextmanager
    def held_up(self, gate: int) -> Iterator[None]:
        """Nobody passes the gate meanwhile."""
        self.connection.execute("SELECT pg_advisory_lock(%s, %s)", (_GATES, gate))
        try:
            yield
        finally:
            self.connection.execute("SELECT pg_advisory_unlock(%s, %s)", (_GATES, gate))

    @staticmethod
    def arrival_of(member: str) -> int:
        """The gate that this member alone passes, when the database has its write and has not looked at a row yet."""
        return _ARRIVING + int(member.removeprefix("member-"))

    def waiting_at(self, gate: int) -> list[str]:
        """The members whose sessions wait at the gate."""
        return [name for (name,) in self.rows(_WAITING, gate)]

    def next_to_commit(self, timeout: float = 60) -> str:
        """Waits for the next advance to be committed and returns whose it was, at once."""
        self.connection.execute("LISTEN kills")
        try:
            for note in self.connection.notifies(timeout=timeout):
                topic, member = note.payload.split()
                if topic == self.topic:
                    return str(member)
        finally:
            self.connection.execute("UNLISTEN kills")
            list(self.connection.notifies(timeout=0))
        raise AssertionError(f"nobody has written within {timeout:g} s")

    def wait_for_position(self, goal: int, timeout: float, message: Callable[[], str]) -> None:
        """Until the group has passed so many messages."""
        wait_until(
            lambda: (self.position() or 0) >= goal,
            timeout,
            message=lambda: f"{self.position()} of {goal}, {self._where()}\n{message()}",
        )
