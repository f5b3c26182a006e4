"""A supervised process writes its log through its supervisor, and never waits for it."""

import sys
import threading
from contextlib import contextmanager

from workers.processes.manage_process import ManageProcess

_TALK = """
import sys
import structlog
sys.stderr.write("a line that is passed on as it is, and gets stuck\\n")
log = structlog.get_logger("test")
for number in range(3_000):
    log.error("said", number=number, words="x" * 1_000)
open({path!r}, "w").write("all said")
"""


class Stuck:
    """A standard error that nobody reads: who writes to it waits."""

    def __init__(self):
        self.may_go_on = threading.Event()

    def write(self, _text):
        self.may_go_on.wait()

    def flush(self):
        pass


@contextmanager
def nobody_reads_our_log(monkeypatch):
    stuck = Stuck()
    with monkeypatch.context() as patch:  # not in a fixture: pytest puts its own in place for each phase of a test
        patch.setattr(sys, "stderr", stuck)
        try:
            yield
        finally:
            stuck.may_go_on.set()


def test_it_works_on_while_nobody_takes_its_log(monkeypatch, tmp_path):
    with nobody_reads_our_log(monkeypatch):
        process = ManageProcess(["shell", "-c", _TALK.format(path=str(tmp_path / "done"))], number=1)
        try:
            process._popen.wait(30)
        finally:
            process.kill()
    assert (tmp_path / "done").read_text() == "all said"
