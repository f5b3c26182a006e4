"""Children stop whole, die with us, and are never mistaken for another process."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from movieapp.devstack.child import Child, Command
from movieapp.devstack.errors import ProcessFailed
from movieapp.devstack.identity import identity_of, started_at, this_process
from movieapp.devstack.layout import PROJECT_ROOT
from movieapp.devstack.supervisor import Supervisor, stop_leftovers
from tests.waiting import wait_until

SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
WITH_CHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {DEAF!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
{SLEEP}
"""


def python(log: Path, code: str, *, name: str = "child", patience_s: float = 10) -> Command:
    return Command(name=name, argv=[sys.executable, "-c", code], log=log, patience_s=patience_s)


def says(log: Path, text: str = "ready") -> bool:
    return log.exists() and text in log.read_text()


def test_a_stop_is_asked_for_first(tmp_path: Path) -> None:
    child = Child(python(tmp_path / "log", SLEEP))
    wait_until(lambda: says(tmp_path / "log"))
    assert child.poll() is None
    assert child.stop() == -signal.SIGTERM
    assert started_at(child.pid) is None


def test_what_does_not_listen_is_killed(tmp_path: Path) -> None:
    child = Child(python(tmp_path / "log", DEAF, patience_s=0.2))
    wait_until(lambda: says(tmp_path / "log"))
    assert child.stop() == -signal.SIGKILL


def test_a_child_that_has_ended_is_not_ready_whoever_answers_in_its_place(tmp_path: Path) -> None:
    child = Child(python(tmp_path / "log", "raise SystemExit('the port is taken')"))
    wait_until(lambda: child.poll() is not None)
    with pytest.raises(ProcessFailed, match="child ended while starting"):
        child.wait_until(lambda: True, timeout_s=20, stopping=lambda: None)


@pytest.mark.parametrize("ending", ["stop", "kill", "crash"])
def test_nothing_of_a_childs_session_outlives_it(tmp_path: Path, ending: str) -> None:
    child = Child(python(tmp_path / "log", WITH_CHILD))
    wait_until(lambda: says(tmp_path / "log"))
    grandchild = identity_of(int((tmp_path / "log").read_text().split()[0]))
    assert grandchild is not None
    assert grandchild.is_alive()
    if ending == "crash":
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: child.poll() is not None)
    else:
        getattr(child, ending)()
    wait_until(lambda: not grandchild.is_alive(), message="the grandchild is gone")


def test_two_threads_end_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at a second Ctrl-C: one asks it to end and waits, the other kills."""
    child = Child(python(tmp_path / "log", "pass"))
    wait_until(lambda: started_at(child.pid) is None)
    look, looks = child._has_ended, []

    def look_slowly() -> bool:
        looks.append(1)
        time.sleep(0.2)
        return look()

    monkeypatch.setattr(child, "_has_ended", look_slowly)
    with ThreadPoolExecutor() as pool:
        stopped = pool.submit(child.stop)
        wait_until(lambda: looks)
        assert child.kill() == 0
        assert stopped.result() == 0


@pytest.mark.parametrize("moment", ["killpg", "waitstatus_to_exitcode"])
def test_a_signals_handler_kills_what_its_thread_is_reaping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    child = Child(python(tmp_path / "log", "pass"))
    wait_until(lambda: started_at(child.pid) is None)
    plain, handled = getattr(os, moment), []

    def interrupted(*arguments: int) -> object:
        monkeypatch.setattr(os, moment, plain)
        handled.append(child.kill())
        return plain(*arguments)

    monkeypatch.setattr(os, moment, interrupted)
    with suppress(ChildProcessError):  # of no account: the handler ends the process
        child.poll()
    assert handled


def test_the_log_of_the_start_before_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for text in ("first", "second"):
        child = Child(python(log, f"print({text!r})"))
        wait_until(lambda child=child: child.poll() is not None)
    assert log.read_text() == "second\n"
    assert (tmp_path / "log.1").read_text() == "first\n"


def test_a_child_that_dies_while_starting_is_named_with_its_last_words(tmp_path: Path) -> None:
    child = Child(python(tmp_path / "log", "print('no disk'); raise SystemExit(3)", name="kafka"))
    with pytest.raises(ProcessFailed, match=r"(?s)kafka ended while starting \(exit code 3\).*no disk"):
        child.wait_until(lambda: False, timeout_s=20, stopping=lambda: None)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = f"""
import sys, threading
from pathlib import Path
from movieapp.devstack.child import Child, Command
children = []
def start():
    log = Path({str(tmp_path / "log")!r})
    children.append(Child(Command(name="x", argv=[sys.executable, "-c", {SLEEP!r}], log=log)))
# From a thread that ends: that must not count as the parent's death.
thread = threading.Thread(target=start); thread.start(); thread.join()
print(children[0].pid, flush=True)
threading.Event().wait()
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    child = identity_of(int(supervisor.stdout.readline()))
    assert child is not None
    wait_until(lambda: says(tmp_path / "log"))
    assert child.is_alive()
    supervisor.kill()
    supervisor.communicate()
    wait_until(lambda: not child.is_alive(), timeout=10, message="the child is gone too")


def test_a_dead_child_is_named_and_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "children.json")
    told: list[str] = []
    first = supervisor.start(lambda: python(tmp_path / "log", SLEEP, name="consumer"))
    try:
        wait_until(lambda: says(tmp_path / "log"))
        supervisor.mend(told.append)
        assert told == []
        os.kill(first.pid, signal.SIGKILL)

        def is_back() -> bool:
            supervisor.mend(told.append)
            return any("running again" in text for text in told)

        wait_until(is_back, timeout=20)
        assert told[0].startswith("consumer died (killed by SIGKILL)")
        [entry] = json.loads((tmp_path / "children.json").read_text())
        assert entry["name"] == "consumer"
        assert entry["pid"] != first.pid
    finally:
        supervisor.stop_all(servers=frozenset())
    assert started_at(entry["pid"]) is None
    assert not (tmp_path / "children.json").exists()


def test_servers_are_stopped_after_those_who_use_them(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "children.json")
    order = tmp_path / "order"
    for name in ("postgres", "kafka", "web", "consumer"):
        code = f"""
import signal, sys, time
def end(*_):
    with open({str(order)!r}, "a") as file: file.write("{name} ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
{SLEEP}"""
        supervisor.start(lambda name=name, code=code: python(tmp_path / name, code, name=name))
        wait_until(lambda name=name: says(tmp_path / name))
    supervisor.stop_all(servers=frozenset({"postgres", "kafka"}))
    stopped = order.read_text().split()
    assert set(stopped[:2]) == {"web", "consumer"}
    assert stopped[2:] == ["kafka", "postgres"]


def test_leftovers_are_stopped_and_a_recycled_id_is_left_alone(tmp_path: Path) -> None:
    record = tmp_path / "children.json"
    leftover, innocent = (Child(python(tmp_path / name, SLEEP)) for name in ("leftover", "innocent"))
    try:
        wait_until(lambda: says(tmp_path / "leftover") and says(tmp_path / "innocent"))
        entries = [
            {"name": "web", **asdict(leftover.identity)},
            {"name": "consumer", "pid": innocent.pid, "started": "long ago"},
            {"name": "consumer", "pid": this_process().pid, "started": "long ago"},
        ]
        record.write_text(json.dumps(entries))
        told: list[str] = []
        stop_leftovers(record, told.append)
        assert leftover.poll() == -signal.SIGTERM
        assert innocent.poll() is None
        assert len(told) == 1
        assert not record.exists()
    finally:
        leftover.kill()
        innocent.kill()


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": 1}'])
def test_a_damaged_record_stops_nothing(tmp_path: Path, damage: str) -> None:
    record = tmp_path / "children.json"
    record.write_text(damage)
    stop_leftovers(record, lambda text: pytest.fail(text))
