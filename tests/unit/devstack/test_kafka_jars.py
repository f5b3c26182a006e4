"""Only jars with the locked checksum are used; damaged ones are fetched again."""

import hashlib
import json
import threading
from pathlib import Path

import pytest

from movieapp.devstack import kafka_jars
from movieapp.devstack.errors import DevstackError

CONTENTS = {"org.x:one:1.0": b"the first jar", "org.x:two:2.0": b"the second jar"}


class Registry:
    """Stands in for the registry: gives what it has been given, and counts."""

    def __init__(self) -> None:
        self.contents = dict(CONTENTS)
        self.failures = 0
        self.asked: list[str] = []

    def resolve(self, coordinate: str, *, repository: Path) -> Path:
        self.asked.append(coordinate)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("no connection")
        repository.mkdir(parents=True)
        path = repository / "download"
        path.write_bytes(self.contents[coordinate])
        return path


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry()
    lock = tmp_path / "jars.lock"
    entries = [{"coordinate": name, "sha256": hashlib.sha256(data).hexdigest()} for name, data in CONTENTS.items()]
    lock.write_text(json.dumps({"jars": entries}))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kafka_jars, "_LOCK", lock)
    monkeypatch.setattr(kafka_jars, "_resolve_one", made.resolve)
    monkeypatch.setattr(kafka_jars.time, "sleep", lambda seconds: None)
    return made


def test_jars_are_downloaded_once_and_progress_is_told(registry: Registry) -> None:
    told: list[tuple[int, int]] = []
    paths = kafka_jars.kafka_classpath(progress=lambda done, total: told.append((done, total)))
    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert kafka_jars.kafka_classpath() == paths
    assert sorted(registry.asked) == sorted(CONTENTS)


def test_a_damaged_jar_is_fetched_again_alone(registry: Registry) -> None:
    first, second = kafka_jars.kafka_classpath()
    second.write_bytes(b"half of it")
    registry.asked.clear()
    assert kafka_jars.kafka_classpath() == [first, second]
    assert second.read_bytes() == CONTENTS["org.x:two:2.0"]
    assert registry.asked == ["org.x:two:2.0"]


def test_a_wrong_checksum_is_refused_and_leaves_nothing(registry: Registry, tmp_path: Path) -> None:
    registry.contents["org.x:one:1.0"] = b"something else"
    with pytest.raises(DevstackError, match=r"org\.x:one:1\.0 was downloaded with checksum .* but jars\.lock says"):
        kafka_jars.kafka_classpath()
    assert not list((tmp_path / "cache").rglob("one-1.0.jar"))
    assert not list((tmp_path / "cache").rglob("part-*"))


def test_a_failing_connection_is_tried_again_and_then_named(registry: Registry) -> None:
    registry.failures = 3
    kafka_jars.kafka_classpath()
    (kafka_jars.cache_folder() / f"kafka-{kafka_jars.KAFKA_VERSION}" / "one-1.0.jar").unlink()
    registry.failures = 100
    with pytest.raises(DevstackError, match=r"Downloading org\.x:one:1\.0 .* failed: no connection"):
        kafka_jars.kafka_classpath()


def test_two_at_once_download_each_jar_once(registry: Registry) -> None:
    threads = [threading.Thread(target=kafka_jars.kafka_classpath) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(registry.asked) == sorted(CONTENTS)


def test_the_committed_lock_names_kafka_and_a_log_binding_with_checksums() -> None:
    content = json.loads((Path(kafka_jars.__file__).parent / "kafka_jars.lock").read_text())
    coordinates = [entry["coordinate"] for entry in content["jars"]]
    assert f"org.apache.kafka:kafka_2.13:{kafka_jars.KAFKA_VERSION}" in coordinates
    assert any(coordinate.startswith("org.apache.logging.log4j:log4j-slf4j-impl:") for coordinate in coordinates)
    assert all(len(bytes.fromhex(entry["sha256"])) == 32 for entry in content["jars"])
    assert len(set(coordinates)) == len(coordinates)
