"""One Postgres server on loopback: prepares its data folder, says how to start it, knows when it answers."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psycopg

from movieapp.devstack.child import Command
from movieapp.devstack.errors import DevstackError, ProcessFailed
from movieapp.devstack.identity import identity_of, no_process_works_in, stop_identified, works_in
from movieapp.devstack.ports import LOOPBACK, is_answering
from movieapp.devstack.postgres_binaries import PostgresBinaries, find_postgres

READY_WITHIN_S = 60.0
ROLE = "movieapp"
DATABASE = "movieapp"

# For data that nobody will miss: several times faster, and lost with the machine's power; a killed server keeps it.
NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}

# As durable as ever. At Postgres' own 128 MB the indexes of two million ratings do not fit, and checkpoints follow each
# other so closely that most of the WAL is whole pages: the write path had less than half its rate (36,900 events/s to
# 82,700, the same load on the same machine; memory is taken only as it is used). wal_compression stays off: to
# compress what checkpoints bring would take longer than the ratings do (docs/decisions/0011-server-time.md).
WRITE_HEAVY: Mapping[str, str] = {"shared_buffers": "1GB", "max_wal_size": "4GB"}


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """One server. It listens on loopback TCP only, asks for `password`, and has no socket file to leave behind."""

    folder: Path
    log: Path
    port: int
    password: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """Postgres' own folder; there is none before the first start."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """DATABASE_URL of our database on this server, password included."""
        return f"postgresql://{ROLE}:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/{DATABASE}"

    @cached_property
    def binaries(self) -> PostgresBinaries:
        """Of the version that made the data folder, where there is one already. Raises DevstackError."""
        try:
            return find_postgres(major=self._data_version())
        except DevstackError as error:
            if self._data_version() is None:
                raise
            raise DevstackError(
                f"{self.data} was made by Postgres {self._data_version()}, whose programs are gone. Install them, "
                f"or delete {self.folder} to start with an empty database."
            ) from error

    def prepare(self) -> Command:
        """Makes the data folder if it is missing, mends what a crash left; returns what to start. Safe to repeat.

        Raises DevstackError when there are no binaries or no way to run them, ProcessFailed when initdb fails.
        """
        user = _user_to_run_as()
        if self._data_version() is None:
            self._initdb(user)
        self._stop_orphan()
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            **self.settings,
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        return Command(
            name="postgres",
            argv=[*user.prefix, self.binaries.program("postgres"), "-D", str(self.data), *arguments],
            log=self.log,
            env=_environment(),
            user=user.name,
            # "fast": rolls back what is open, writes a checkpoint, ends.
            stop_signal=signal.SIGINT,
            patience_s=20,
        )

    def is_ready(self) -> bool:
        """Whether the server takes connections, and our database is there (it is made now if it is not).

        Raises DevstackError when the password is not the one that the data folder was made with.
        """
        if not is_answering(self.port):
            return False
        admin = self.url.removesuffix(DATABASE) + "postgres"
        try:
            with psycopg.connect(admin, autocommit=True, connect_timeout=5) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if known is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise DevstackError(
                    f"{self.data} was made with another password than the one kept for it. Put postgres.secret back, "
                    f"or delete {self.folder} to start with an empty database."
                ) from error
            return False  # still starting up or recovering
        return True

    def _data_version(self) -> int | None:
        try:
            return int((self.data / "PG_VERSION").read_text().split(".")[0])
        except (FileNotFoundError, ValueError):
            return None

    def _initdb(self, user: "_User") -> None:
        """Makes the data folder aside and renames it, so that it is either whole or not there."""
        fresh = self.folder / "data.new"
        for leftover in (fresh, self.data):
            shutil.rmtree(leftover, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        user.give(self.folder)
        log = self.log.with_name("postgres-initdb.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", prefix="movieapp-", suffix=".pw") as password_file:
            password_file.write(self.password)
            password_file.flush()
            user.give(Path(password_file.name))
            command = [
                self.binaries.program("initdb"),
                "-D",
                str(fresh),
                "--username",
                ROLE,
                "--pwfile",
                password_file.name,
            ]
            command += [
                "--auth",
                "scram-sha-256",
                "--encoding",
                "UTF8",
                "--locale",
                "C",
                "--no-sync",
                "--no-instructions",
            ]
            with log.open("wb") as output:
                done = subprocess.run(
                    [*user.prefix, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=_environment(),
                    start_new_session=True,
                    user=user.name if user.name != "-" else None,
                    check=False,
                )
        if done.returncode != 0:
            raise ProcessFailed(f"initdb could not make {fresh}.", log=log)
        fresh.rename(self.data)

    def _stop_orphan(self) -> None:
        """Stops a server that outlived its supervisor, and removes the lock that a dead one left.

        Postgres itself mends most such locks, but refuses when the process id in it is a zombie's or was given to
        another process since. The lock may go only once nothing works on the folder any more.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        identity = identity_of(pid)
        if identity is not None and works_in(pid, self.data):
            stop_identified(identity, gentle=signal.SIGINT, patience_s=20)
        # The other processes of a killed server notice that by themselves, and end.
        if no_process_works_in(self.data, within_s=10):
            lock.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class _User:
    """As whom Postgres runs: it refuses to be root. `prefix` goes before the command, `name` is a user or `-`."""

    prefix: tuple[str, ...] = ()
    name: str = "-"

    def give(self, path: Path) -> None:
        if self.name != "-":
            entry = pwd.getpwnam(self.name)
            os.chown(path, entry.pw_uid, entry.pw_gid)


def _user_to_run_as() -> _User:
    if os.geteuid() != 0:
        return _User()
    # A user namespace of its own: the files stay root's outside, and no folder has to be opened to another user.
    unshare = ("unshare", "-U", "--map-user=1000", "--map-group=1000")
    try:
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
            return _User(prefix=unshare)
    except FileNotFoundError:
        pass
    try:
        pwd.getpwnam("nobody")
    except KeyError:
        raise DevstackError(
            "Postgres does not run as root, and here is neither `unshare` for a user namespace nor the user nobody. "
            "Run this as another user, or set DATABASE_URL."
        ) from None
    return _User(name="nobody")


def _environment() -> dict[str, str]:
    """Ours without libpq's and Postgres' own variables, which would change where and how the server starts."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {
        "LC_ALL": "C",
        "TZ": "UTC",
    }
