"""Settings on their way to librdkafka, and its complaints on their way to our log."""

import logging
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from workers.kafka.client import LastError, client_config, configuring
from workers.kafka.errors import InvalidClientConfig


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
    assert [record.getMessage() for record in caplog.records] == [
        "test b:9: Connection refused (after 0ms in state CONNECT)",
        "test another thing",
    ]
