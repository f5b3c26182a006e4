"""Apache Kafka's jars: pinned with checksums in kafka_jars.lock, downloaded once into the cache, verified on each use.

`python -m movieapp.devstack.kafka_jars` resolves the versions below anew and rewrites the lock.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from movieapp.devstack.errors import DevstackError
from movieapp.devstack.layout import cache_folder
from movieapp.devstack.locks import held

KAFKA_VERSION = "4.3.1"
_KAFKA = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
# Kafka's jars bring log4j but nothing that leads SLF4J to it: without this one a failing start says nothing.
# It is resolved apart and taken alone, because together with Kafka the resolver picks other versions of the clients.
_LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
_LOCK = Path(__file__).with_name("kafka_jars.lock")
_DOWNLOADS_AT_ONCE = 8
_ATTEMPTS = 4
_TIMEOUT_S = 60

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Jar:
    """One locked jar: `group:artifact:version` and the SHA-256 of its bytes in hex."""

    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        """As the cache keeps it."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def kafka_classpath(*, progress: Progress = lambda done, total: None) -> Sequence[Path]:
    """Every locked jar on this disk, verified; `progress(done, total)` is told as missing ones are downloaded.

    Safe to call from several processes at once: one fills the cache, the others wait for it. A damaged jar is fetched
    again. Raises DevstackError when a jar cannot be had or its checksum is not the locked one.
    """
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}"
    jars = _read_lock()
    with held(cache_folder() / "kafka.lock"):
        missing = [jar for jar in jars if not _is_intact(folder / jar.filename, jar)]
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            _download(missing, into=folder, progress=progress)
    return [folder / jar.filename for jar in jars]


def _read_lock() -> list[Jar]:
    return [Jar(entry["coordinate"], entry["sha256"]) for entry in json.loads(_LOCK.read_text())["jars"]]


def _is_intact(path: Path, jar: Jar) -> bool:
    return path.exists() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(jars: Sequence[Jar], *, into: Path, progress: Progress) -> None:
    progress(0, len(jars))
    with (
        tempfile.TemporaryDirectory(prefix="part-", dir=cache_folder()) as staging,
        ThreadPoolExecutor(max_workers=_DOWNLOADS_AT_ONCE) as pool,
    ):
        pending = [pool.submit(_fetch, jar, staging=Path(staging), into=into) for jar in jars]
        try:
            for done, future in enumerate(as_completed(pending), start=1):
                future.result()
                progress(done, len(jars))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _fetch(jar: Jar, *, staging: Path, into: Path) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            # A folder for each attempt: what an interrupted one left behind would be taken for the whole jar.
            path = _resolve_one(jar.coordinate, repository=staging / f"{jar.filename}.{attempt}")
            break
        # jgo raises RuntimeError, requests its own OSErrors.
        except (OSError, RuntimeError) as error:
            if attempt == _ATTEMPTS:
                raise DevstackError(
                    f"Downloading {jar.coordinate} (Apache Kafka) failed: {error}. Check the network and any proxy "
                    "settings and try again: what has arrived is kept. Or set KAFKA_BOOTSTRAP_SERVERS."
                ) from error
            time.sleep(attempt)
    actual = _sha256(path)
    if actual != jar.sha256:
        raise DevstackError(
            f"{jar.coordinate} was downloaded with checksum {actual}, but {_LOCK.name} says {jar.sha256}. "
            "Something on the way changes downloads; nothing of it was used."
        )
    path.replace(into / jar.filename)


def _resolve_one(coordinate: str, *, repository: Path) -> Path:
    from jgo.maven import MavenContext, PythonResolver

    context = MavenContext(resolver=PythonResolver(), repo_cache=repository, timeout=_TIMEOUT_S)
    group, artifact, version = coordinate.split(":")
    return context.project(group, artifact).at_version(version).artifact().resolve()


def write_lock() -> None:
    """Resolves Kafka's dependencies in the registry of Maven packages and rewrites the lock with their checksums."""
    from jgo.maven import MavenContext, PythonResolver

    repository = Path(tempfile.mkdtemp(prefix="kafka-jars-"))
    try:
        resolver = PythonResolver()
        context = MavenContext(resolver=resolver, repo_cache=repository, timeout=_TIMEOUT_S)
        inputs, transitive = resolver.resolve([context.create_dependency(_KAFKA)])
        artifacts = [dependency.artifact for dependency in (*inputs, *transitive)]
        artifacts.append(context.create_dependency(_LOG_BINDING).artifact)
        entries = [
            {
                "coordinate": f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}",
                "sha256": _sha256(artifact.resolve()),
            }
            for artifact in artifacts
        ]
    finally:
        shutil.rmtree(repository, ignore_errors=True)
    entries.sort(key=lambda entry: entry["coordinate"])
    _LOCK.write_text(json.dumps({"kafka": KAFKA_VERSION, "jars": entries}, indent=1) + "\n")


if __name__ == "__main__":
    write_lock()
