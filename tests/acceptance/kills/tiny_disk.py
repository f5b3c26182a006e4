"""A Postgres with one folder on a disk of a few megabytes that can really be full, where the machine allows that."""

import dataclasses
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from movieapp.devstack.child import Command
from movieapp.devstack.postgres import PostgresServer

_SIZE = "16m"
# The mount is seen by this process alone and goes with it. Inside a user namespace no privilege is needed, but for
# Postgres, which refuses to be root, another one with an ordinary user in it.
_MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec unshare -U --map-user=1000 --map-group=1000 "$@"'
_UNSHARED = ("unshare", "-U", "-m", "--map-root-user", "sh", "-c", _MOUNTED, "sh", _SIZE)

_STAND_IN = """
CREATE FUNCTION kills.no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION USING errcode = 'disk_full', message = 'could not extend file: No space left on device';
END $$;
CREATE TRIGGER kills_no_space BEFORE INSERT ON ratings_rating FOR EACH STATEMENT EXECUTE FUNCTION kills.no_space();
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TinyDiskPostgres(PostgresServer):
    """The server, with a small file system of its own at `disk` if `has_disk`."""

    @property
    def disk(self) -> Path:
        """Empty for everybody else."""
        return self.folder / "disk"

    def has_disk(self) -> bool:
        """Whether this machine allows such a mount."""
        self.disk.mkdir(parents=True, exist_ok=True)
        tried = subprocess.run([*_UNSHARED, str(self.disk), "true"], capture_output=True, check=False)
        return tried.returncode == 0

    @property
    def no_space_logged(self) -> str:
        """What a consumer's log says of it: of what a function raises, the code alone."""
        return "No space left on device" if self.has_disk() else "SQLSTATE 53100"

    def prepare(self) -> Command:
        """See PostgresServer.prepare."""
        command = super().prepare()
        if not self.has_disk():
            return command
        return dataclasses.replace(command, argv=[*_UNSHARED, str(self.disk), *command.argv])

    @contextmanager
    def no_space_for_ratings(self, session: psycopg.Connection[Any]) -> Iterator[None]:
        """No rating can be stored meanwhile: the disk is full, or the database says so where there is no such disk."""
        if not self.has_disk():
            session.execute(_STAND_IN)
            try:
                yield
            finally:
                session.execute("DROP TRIGGER kills_no_space ON ratings_rating")
            return
        session.execute("CREATE TABLE kills.ballast (filling text) TABLESPACE tiny")
        session.execute("ALTER TABLE kills.ballast ALTER filling SET STORAGE PLAIN")
        for rows in (400, 20, 1):
            _fill(session, rows)
        try:
            yield
        finally:
            session.execute("DROP TABLE kills.ballast")

    @contextmanager
    def ratings_on_disk(self, session: psycopg.Connection[Any]) -> Iterator[None]:
        """The ratings' table, emptied, stands on the small disk meanwhile; nobody may be using it before and after."""
        if not self.has_disk():
            yield
            return
        session.execute("TRUNCATE ratings_rating; UPDATE ratings_recordaggregate SET count = 0, total = 0")
        session.execute(f"CREATE TABLESPACE tiny LOCATION '{self.disk}'")
        session.execute("ALTER TABLE ratings_rating SET TABLESPACE tiny")
        try:
            yield
        finally:
            session.execute("ALTER TABLE ratings_rating SET TABLESPACE pg_default")
            session.execute("DROP TABLESPACE tiny")


def _fill(session: psycopg.Connection[Any], rows: int) -> None:
    """Adds rows of a page each, so many at a time, until the disk is full."""
    while True:
        try:
            session.execute("INSERT INTO kills.ballast SELECT repeat('x', 7000) FROM generate_series(1, %s)", (rows,))
        except psycopg.errors.DiskFull:
            return
