"""`manage.py ingest_file` over long files: its memory does not grow with them."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from movieapp.devstack.layout import PROJECT_ROOT
from tests.fixtures.private_servers import PrivateServer
from tests.fixtures.processes import StartManage
from tests.fixtures.topics import MakeTopic
from tests.sent_files import stored_count, summary_counts, way_on, write_ndjson
from tests.waiting import wait_until


def test_memory_does_not_grow_with_the_file(
    manage_environment: Mapping[str, str], make_topic: MakeTopic, tmp_path: Path
) -> None:
    """The short form of the soak below."""
    small = _peak_memory(manage_environment, write_ndjson(tmp_path / "small.ndjson", 100_000), make_topic(12))
    large = _peak_memory(manage_environment, write_ndjson(tmp_path / "large.ndjson", 400_000), make_topic(12))
    # A full queue, of 100,000 messages, is some 35 MB, and how full it gets is the broker's affair.
    assert large < small + 60_000, f"{small} kB for 100,000 events, {large} kB for 400,000"


@pytest.mark.soak
def test_memory_is_flat_over_five_million_events(
    manage_environment: Mapping[str, str], make_topic: MakeTopic, tmp_path: Path
) -> None:
    half = write_ndjson(tmp_path / "half.ndjson", 500_000)
    whole = tmp_path / "whole.ndjson"
    content = half.read_bytes()
    with whole.open("wb") as file:
        for _ in range(10):
            file.write(content)
    small = _peak_memory(manage_environment, half, make_topic(12))
    large = _peak_memory(manage_environment, whole, make_topic(12))
    print(f"peak memory: {small:,} kB for 500,000 events, {large:,} kB for 5,000,000")
    assert large < small + 40_000


@pytest.mark.soak
def test_a_broker_that_is_killed_within_five_million_events(
    start_manage: StartManage, private_kafka: PrivateServer, tmp_path: Path
) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": private_kafka.address}
    assert start_manage("create_topics", env=env).wait() == 0
    path = tmp_path / "whole.ndjson"
    path.write_bytes(write_ndjson(tmp_path / "half.ndjson", 500_000).read_bytes() * 10)
    process = start_manage("ingest_file", str(path), "--timeout", "10", env=env)
    wait_until(
        lambda: any(int(share) >= 40 for share in re.findall(r"(\d+)%", process.output())),
        timeout=300,
        message=process.output,
    )
    private_kafka.kill()
    assert process.wait(timeout=90) == 1
    output = process.output()
    counts = summary_counts(output)
    assert counts["acknowledged"] + counts["unacknowledged"] == counts["read"] < 5_000_000
    place = int(way_on(output)[way_on(output).index("--start-at") + 1])
    private_kafka.start()
    stored = stored_count(private_kafka.address, "ratings")
    print(f"{counts}, went on from line {place:,}; stored {stored:,}")
    assert place - 1 <= counts["acknowledged"] <= stored <= counts["read"]


def _peak_memory(environment: Mapping[str, str], path: Path, topic: str) -> int:
    """Sends the file in a process of its own, which reports its peak of resident memory in kB."""
    code = (
        "import atexit, re, runpy, sys\n"
        "def peak():\n"
        "    status = open('/proc/self/status').read()\n"
        "    print('VmHWM', re.search(r'VmHWM:\\s+(\\d+) kB', status)[1], flush=True)\n"
        "atexit.register(peak)\n"
        "sys.argv = ['manage.py', *sys.argv[1:]]\n"
        "runpy.run_path('manage.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "ingest_file", str(path), "--topic", topic],
        cwd=PROJECT_ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = summary_counts(done.stdout)
    assert counts["acknowledged"] == counts["read"] > 0
    return int(done.stdout.rpartition("VmHWM ")[2])
