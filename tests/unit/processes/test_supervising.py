"""What a supervisor decides about its processes: which it starts again, when it gives up, and how all end together."""

import signal

import pytest

from tests.unit.consuming.scene import VirtualClock
from workers.processes.errors import ProcessFailed
from workers.processes.supervising import Supervisor

KILLED = -signal.SIGKILL


class FakeProcess:
    """Runs until the test ends it; told to stop it ends with `code_of_stop`, unless that is None."""

    def __init__(self, pid, code_of_stop=0):
        self.pid = pid
        self.code = None
        self.asked = 0
        self.code_of_stop = code_of_stop
        self.silent = 0.0
        self.kills = 0

    def poll(self):
        return self.code

    def silent_seconds(self):
        return self.silent

    def stop(self):
        self.asked += 1
        self.code = self.code_of_stop

    def kill(self):
        self.kills += 1
        self.code = KILLED


class Cast:
    """The processes of one supervisor, in the order of their starts, and what happens to them at which second."""

    def __init__(self, count):
        self.clock = VirtualClock()
        self.began = self.clock.now
        self.started = []
        self.times = []
        self.plan = []
        self.code_of_stop = 0
        self.supervisor = Supervisor(start=self._start, count=count, clock=self.clock)

    def at(self, second, action):
        self.plan.append((second, action))

    def end(self, index, code, *, at):
        def action():
            self.started[index][1].code = code

        self.at(at, action)

    def run(self, *, stop_at=1_000.0):
        """How many seconds it ran until all had ended."""

        def should_stop():
            for due in [step for step in self.plan if step[0] <= self.seconds]:
                self.plan.remove(due)
                due[1]()
            return self.seconds >= stop_at

        self.supervisor.run(should_stop)
        return self.seconds

    @property
    def seconds(self):
        return self.clock.now - self.began

    def numbers(self):
        return [number for number, _ in self.started]

    def _start(self, number):
        process = FakeProcess(pid=100 + len(self.started), code_of_stop=self.code_of_stop)
        self.started.append((number, process))
        self.times.append(self.seconds)
        return process


def test_all_are_started_at_once_and_stopped_together_when_somebody_asks():
    cast = Cast(3)
    assert cast.run(stop_at=5.0) == pytest.approx(5.0, abs=0.2)
    assert cast.numbers() == [1, 2, 3]
    assert [process.asked for _, process in cast.started] == [1, 1, 1]


def test_a_stop_waits_until_the_last_has_ended():
    cast = Cast(2)
    cast.code_of_stop = None
    cast.end(0, 0, at=6.0)
    cast.end(1, 0, at=30.0)
    assert cast.run(stop_at=5.0) == pytest.approx(30.0, abs=0.2)
    assert [process.asked for _, process in cast.started] == [1, 1]


def test_one_that_does_not_end_is_killed_and_that_is_a_failure():
    cast = Cast(2)
    cast.code_of_stop = None
    cast.end(0, 0, at=6.0)
    with pytest.raises(ProcessFailed, match=r"Process 2 was killed \(SIGKILL\)") as failed:
        cast.run(stop_at=5.0)
    assert failed.value.exit_code == 1
    assert cast.seconds == pytest.approx(95.0, abs=0.5)


def test_one_that_is_killed_is_started_again_under_its_number_and_the_others_stay():
    cast = Cast(3)
    cast.end(1, KILLED, at=5.0)
    cast.run(stop_at=10.0)
    assert cast.numbers() == [1, 2, 3, 2]
    assert cast.times[3] == pytest.approx(5.25, abs=0.2)
    assert [process.asked for _, process in cast.started] == [1, 0, 1, 1]


def test_pauses_double_and_the_sixth_death_within_a_minute_ends_all():
    cast = Cast(2)
    # Its replacements are the starts 2, 3, …; each dies a second after it was started.
    moments = [1.0, 2.25, 3.75, 5.75, 8.75, 13.75]
    for index, moment in zip([1, 2, 3, 4, 5, 6], moments, strict=True):
        cast.end(index, -signal.SIGSEGV, at=moment)
    with pytest.raises(ProcessFailed, match=r"Process 2 was killed \(SIGSEGV\) for the 6th time within a minute") as up:
        cast.run()
    assert up.value.exit_code == 1
    assert cast.numbers() == [1, 2, 2, 2, 2, 2, 2]
    pauses = [start - death for start, death in zip(cast.times[2:], moments, strict=False)]
    assert pauses == pytest.approx([0.25, 0.5, 1.0, 2.0, 4.0], abs=0.2)
    assert cast.started[0][1].asked == 1


def test_deaths_of_long_ago_and_of_others_are_not_counted():
    cast = Cast(2)
    for index in range(12):
        cast.end(index, KILLED, at=20.0 * (index + 1))
    cast.run(stop_at=300.0)
    assert len(cast.started) == 14


def test_one_that_ends_with_an_error_ends_all_with_its_code():
    cast = Cast(3)
    cast.end(2, 3, at=5.0)
    with pytest.raises(ProcessFailed, match=r"Process 3 ended with exit code 3.*All processes were stopped") as failed:
        cast.run()
    assert failed.value.exit_code == 3
    assert [process.asked for _, process in cast.started] == [1, 1, 0]


def test_the_first_error_is_the_one_that_is_told():
    cast = Cast(3)
    cast.code_of_stop = 4
    cast.end(1, 3, at=5.0)
    with pytest.raises(ProcessFailed, match="Process 2") as failed:
        cast.run()
    assert failed.value.exit_code == 3


@pytest.mark.parametrize("code", [0, -signal.SIGTERM])
def test_one_that_somebody_else_stopped_in_order_ends_all_in_order(code):
    cast = Cast(2)
    cast.end(0, code, at=5.0)
    assert cast.run() == pytest.approx(5.0, abs=0.2)
    assert cast.started[1][1].asked == 1


def test_an_error_or_a_death_while_all_stop_is_told():
    for code, words in ((1, "exit code 1"), (KILLED, r"killed \(SIGKILL\) while it finished")):
        cast = Cast(2)
        cast.code_of_stop = None
        cast.end(0, 0, at=5.0)
        cast.end(1, code, at=6.0)
        with pytest.raises(ProcessFailed, match=words):
            cast.run(stop_at=4.0)


def test_nothing_is_started_again_once_all_are_to_stop():
    cast = Cast(2)
    cast.end(0, KILLED, at=4.9)
    cast.run(stop_at=5.0)
    assert cast.numbers() == [1, 2]


def test_one_that_gives_no_sign_of_life_any_more_is_killed_and_started_again():
    cast = Cast(2)

    def silence(seconds):
        cast.started[1][1].silent = seconds

    cast.at(5.0, lambda: silence(9.9))
    cast.at(6.0, lambda: silence(10.1))
    cast.run(stop_at=20.0)
    assert cast.numbers() == [1, 2, 2]
    assert cast.times[2] == pytest.approx(6.3, abs=0.2)
    assert cast.started[1][1].kills == 1
    assert [process.asked for _, process in cast.started] == [1, 0, 1]


def test_one_that_falls_silent_while_all_stop_is_not_waited_for():
    cast = Cast(1)
    cast.code_of_stop = None

    def silence():
        cast.started[0][1].silent = 11.0

    cast.at(7.0, silence)
    with pytest.raises(ProcessFailed, match="while it finished its work"):
        cast.run(stop_at=5.0)
    assert cast.seconds == pytest.approx(7.0, abs=0.3)


def test_kill_ends_all_at_once():
    cast = Cast(2)
    cast.at(5.0, cast.supervisor.kill)
    cast.run(stop_at=6.0)
    assert [process.code for _, process in cast.started[:2]] == [KILLED, KILLED]


def test_what_goes_wrong_in_the_supervisor_itself_leaves_no_process_behind():
    cast = Cast(2)

    def fail():
        raise ZeroDivisionError

    cast.at(1.0, fail)
    with pytest.raises(ZeroDivisionError):
        cast.run()
    assert [process.code for _, process in cast.started] == [KILLED, KILLED]


def test_a_process_that_cannot_be_started_ends_all():
    began = []

    def start(number):
        if number == 2:
            raise OSError(11, "no more processes")
        began.append(FakeProcess(1))
        return began[-1]

    with pytest.raises(ProcessFailed, match=r"Process 2 could not be started: .*no more processes"):
        Supervisor(start=start, count=2, clock=VirtualClock()).run(lambda: False)
    assert began[0].asked == 1
