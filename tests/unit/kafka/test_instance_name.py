"""How long a static member waits for a name that is in use, and when it does not."""

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from workers.kafka.errors import InstanceFenced
from workers.kafka.instance_name import InstanceName

IN_USE = KafkaError(KafkaError.UNRELEASED_INSTANCE_ID)
ENDED_AS_IN_USE = KafkaError(KafkaError._FATAL, f"Fatal error: {IN_USE.str()}: ConsumerGroupHeartbeat fatal error")
TAKEN_AWAY = KafkaError(KafkaError.FENCED_INSTANCE_ID)
ENDED_AS_TAKEN_AWAY = KafkaError(
    KafkaError._FATAL, "Fatal error: Static consumer fenced by other consumer with same group.instance.id"
)


class Time:
    """A clock that stands still but for what the test does."""

    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def name(time):
    return InstanceName(group="g", instance="pod-7", clock=time)


def wait(name, time):
    """Until the name may be asked for again; returns the seconds."""
    began = time.now
    while not name.may_join(0.0):
        time.now += 0.1
    return time.now - began


@pytest.mark.parametrize("error", [IN_USE, ENDED_AS_IN_USE])
def test_a_name_in_use_is_asked_for_again_ever_more_slowly_and_told_once(name, time, error):
    pauses = []
    with capture_logs() as logs:
        for _ in range(6):
            assert name.concerns(error)
            assert name.is_refused
            pauses.append(wait(name, time))
            assert not name.is_refused
    assert pauses == pytest.approx([0.5, 1, 2, 4, 5, 5], abs=0.11)
    [told] = logs
    assert (told["event"], told["group"], told["instance"]) == ("instance_name_in_use", "g", "pod-7")
    assert "group.consumer.session.timeout.ms, 45 s" in told["waiting_for"]


def test_a_name_in_use_for_longer_than_any_session_ends_the_wait(name, time):
    began = time.now

    def ask_for_ever():
        while time.now < began + 600:
            name.concerns(IN_USE)
            wait(name, time)

    with pytest.raises(InstanceFenced, match=r"'pod-7', and still had it after 6\d s.*--group-instance-id"):
        ask_for_ever()
    assert 60 < time.now - began < 66


def test_the_same_refusal_said_twice_is_one(name, time):
    name.concerns(ENDED_AS_IN_USE)
    name.concerns(ENDED_AS_IN_USE)
    assert wait(name, time) < 0.7


def test_another_time_is_another_wait(name, time):
    name.concerns(IN_USE)
    wait(name, time)
    time.now += 3_600
    with capture_logs() as logs:
        assert name.concerns(IN_USE)
    assert len(logs) == 1
    assert wait(name, time) < 0.7


@pytest.mark.parametrize("error", [TAKEN_AWAY, ENDED_AS_TAKEN_AWAY])
def test_a_name_that_was_taken_away_is_not_waited_for(name, error):
    with pytest.raises(InstanceFenced, match="takes this one's place"):
        name.concerns(error)


@pytest.mark.parametrize("code", [KafkaError._FATAL, KafkaError._TRANSPORT, KafkaError.UNKNOWN_MEMBER_ID])
def test_other_errors_do_not_concern_the_name(name, code):
    assert not name.concerns(KafkaError(code, "for a test"))
