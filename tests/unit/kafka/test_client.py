"""Settings on their way to librdkafka, and its complaints on their way to our log."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from workers.kafka.client import LastError, client_config, configuring, consumer_config, with_guarantees
from workers.kafka.consumer import KafkaGroupConsumer
from workers.kafka.errors import InvalidClientConfig
from workers.kafka.producer import KafkaProducer


def test_overrides_use_underscores_for_dots(settings: Any) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "b:1", "linger.ms": "9"}
    config = client_config(group_id="g", linger_ms=3, error_cb=print)
    assert {**config, "logger": None} == {
        "bootstrap.servers": "b:1",
        "linger.ms": 3,
        "group.id": "g",
        "error_cb": print,
        "logger": None,
    }
    assert settings.KAFKA_CLIENT_CONFIG["linger.ms"] == "9"


@pytest.mark.parametrize(("name", "value"), [("no.such", "1"), ("acks", "many"), ("batch.size", "x")])
def test_a_setting_that_librdkafka_refuses_is_named(settings: Any, name: str, value: str) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1", name: value}
    with pytest.raises(InvalidClientConfig, match=f"{name}.*KAFKA_CONFIG_"), configuring():
        Producer(client_config())


OF_CONSUMERS = {
    "group.protocol": "consumer",
    "group.remote.assignor": "range",
    "group.instance.id": "pod",
    "fetch.min.bytes": "7",
    "fetch.max.bytes": "50000000",
    "max.poll.interval.ms": "60000",
    "queued.min.messages": "7",
    "isolation.level": "read_uncommitted",
}
OF_PRODUCERS = {
    "acks": "1",
    "linger.ms": "7",
    "batch.size": "70000",
    "compression.type": "lz4",
    "retries": "7",
    "delivery.timeout.ms": "60000",
    "partitioner": "random",
}


@pytest.mark.parametrize(
    "make",
    [
        lambda logger: Producer(client_config(logger=logger)),
        lambda logger: AdminClient(client_config(logger=logger)),
        lambda logger: Consumer(consumer_config(logger=logger, group_id="g")),
    ],
    ids=["producer", "admin", "consumer"],
)
def test_no_client_warns_of_settings_for_other_kinds(
    settings: Any, caplog: pytest.LogCaptureFixture, make: Callable[[logging.Logger], Any]
) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1", **OF_CONSUMERS, **OF_PRODUCERS}
    with caplog.at_level(logging.DEBUG):
        make(logging.getLogger("unfiltered")).poll(0)
    assert [record.getMessage() for record in caplog.records if "CONFWARN" in record.getMessage()] == []


def test_each_kind_of_client_gets_what_is_for_it(settings: Any) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"client.id": "c", **OF_CONSUMERS, **OF_PRODUCERS}
    assert client_config().keys() == {"client.id", "logger"} | OF_PRODUCERS.keys()
    assert consumer_config().keys() == {"client.id", "logger"} | OF_CONSUMERS.keys()


def test_settings_that_break_a_guarantee_are_replaced_and_named(settings: Any) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"request.required.acks": "0", "enable.idempotence": "false", "linger.ms": "9"}
    with capture_logs() as logs:
        config = with_guarantees(client_config(), {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2"})
    assert {**config, "logger": None} == {
        "linger.ms": "9",
        "logger": None,
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2",
    }
    [warning] = logs
    assert warning["log_level"] == "warning"
    assert warning["settings"] == (
        "KAFKA_CONFIG_REQUEST_REQUIRED_ACKS is ignored, acks=all is used; "
        "KAFKA_CONFIG_ENABLE_IDEMPOTENCE is ignored, enable.idempotence=true is used"
    )


@pytest.mark.parametrize(
    ("name", "given", "used"),
    [("acks", "-1", "all"), ("acks", "ALL", "all"), ("a", "True", True), ("a", "f", False), ("a", "10", 10)],
)
def test_a_setting_that_says_the_same_is_no_matter(settings: Any, name: str, given: str, used: object) -> None:
    settings.KAFKA_CLIENT_CONFIG = {name: given}
    with capture_logs() as logs:
        assert with_guarantees(client_config(), {name: used})[name] == used
    assert logs == []


@pytest.mark.parametrize(
    ("make", "setting", "used"),
    [
        (lambda: KafkaProducer("t"), "partitioner", "partitioner=murmur2_random"),
        (lambda: KafkaGroupConsumer(group="g", topic="t").close(), "enable.auto.commit", "enable.auto.commit=false"),
        (lambda: KafkaGroupConsumer(group="g", topic="t").close(), "auto.offset.reset", "auto.offset.reset=error"),
    ],
)
def test_producer_and_consumer_say_what_they_ignore(
    settings: Any, make: Callable[[], object], setting: str, used: str
) -> None:
    settings.KAFKA_CLIENT_CONFIG = {"bootstrap.servers": "127.0.0.1:1", setting: "random"}
    with capture_logs() as logs:
        make()
    assert [log["settings"].endswith(f"is ignored, {used} is used") for log in logs] == [True]


def test_the_last_error_is_the_telling_one() -> None:
    last = LastError()
    last(KafkaError(KafkaError._ALL_BROKERS_DOWN, "2/2 brokers are down"))
    assert last.reason == "2/2 brokers are down"
    last(KafkaError(KafkaError._TRANSPORT, "b:1: Connection refused (after 0ms in state CONNECT)"))
    last(KafkaError(KafkaError._ALL_BROKERS_DOWN, "2/2 brokers are down"))
    assert last.reason == "b:1: Connection refused"


def test_a_repeated_complaint_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    logger = client_config()["logger"]
    with caplog.at_level(logging.INFO):
        for milliseconds in range(50):
            logger.error("test b:9: Connection refused (after %dms in state CONNECT)", milliseconds)
        logger.error("test another thing")
        for number in range(3):
            logger.error("FATAL [test#consumer-%d] made anew", number)
    assert [record.getMessage() for record in caplog.records] == [
        "test b:9: Connection refused (after 0ms in state CONNECT)",
        "test another thing",
        "FATAL [test#consumer-0] made anew",
    ]
