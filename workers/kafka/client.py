"""The one way from our settings to a librdkafka client's: its configuration, its log and its errors."""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException
from django.conf import settings

from workers.kafka.errors import InvalidClientConfig
from workers.kafka.properties import CONSUMERS_ONLY, PRODUCERS_ONLY

_log = structlog.get_logger(__name__)
_LIBRDKAFKA_LOGGER = "librdkafka"
_REPEAT_AFTER = 30.0  # seconds
_OTHER_NAMES = {"request.required.acks": "acks", "delivery.timeout.ms": "message.timeout.ms"}  # librdkafka's aliases
_CLIENT_NUMBER = re.compile(r"(?<=#consumer)-\d+")  # a consumer that is made anew goes on complaining
_NOT_DOTTED = frozenset({"error_cb", "stats_cb", "oauth_cb", "throttle_cb", "on_delivery", "log_level"})


def client_config(**overrides: Any) -> dict[str, Any]:
    """KAFKA_CLIENT_CONFIG of the settings and `overrides` (group_id="x" is group.id), for a producer or an AdminClient.

    Without the settings that only consumers have. The client's own log lines go to the logger "librdkafka" whenever the
    client is polled.
    """
    return _config(overrides, without=CONSUMERS_ONLY)


def consumer_config(**overrides: Any) -> dict[str, Any]:
    """As `client_config`, for a consumer: without the settings that only producers have."""
    return _config(overrides, without=PRODUCERS_ONLY)


def _config(overrides: Mapping[str, Any], *, without: frozenset[str]) -> dict[str, Any]:
    given = {name: value for name, value in settings.KAFKA_CLIENT_CONFIG.items() if name not in without}
    config: dict[str, Any] = {**given, "logger": _librdkafka_logger()}
    for name, value in overrides.items():
        config[name if name in _NOT_DOTTED else name.replace("_", ".")] = value
    return config


def with_guarantees(config: Mapping[str, Any], required: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with `required` in place of what it says. Warns once of all that KAFKA_CONFIG_… asks otherwise."""
    given = {_OTHER_NAMES.get(name, name): (name, value) for name, value in settings.KAFKA_CLIENT_CONFIG.items()}
    unheard = [
        f"{_variable(given[name][0])} is ignored, {name}={_text(value)} is used"
        for name, value in required.items()
        if name in given and not _same(given[name][1], value)
    ]
    if unheard:
        _log.warning("our guarantees do not allow these Kafka settings", settings="; ".join(unheard))
    allowed = {name: value for name, value in config.items() if _OTHER_NAMES.get(name, name) not in required}
    return {**allowed, **required}


@contextmanager
def configuring() -> Iterator[None]:
    """Around the construction of a client: raises InvalidClientConfig for what librdkafka does not take."""
    try:
        yield
    except KafkaException as refused:
        raise InvalidClientConfig(refused.args[0].str()) from None
    except (TypeError, ValueError) as refused:
        raise InvalidClientConfig(str(refused)) from None


class LastError:
    """A client's `error_cb` that keeps what went wrong last, for the message of a time-out.

    librdkafka calls it from poll() for what it retries by itself: a broker that is away, a failed login.
    """

    def __init__(self) -> None:
        self.reason = ""

    def __call__(self, error: ClientError) -> None:
        """Take note of one error."""
        # "All brokers are down" only says that the error before it happened everywhere.
        if error.code() != ClientError._ALL_BROKERS_DOWN or not self.reason:
            self.reason = error.str().partition(" (after ")[0]


class _RepeatFilter(logging.Filter):
    """Lets the same complaint through once in a while: a client without a broker complains ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it has not been said for a while."""
        complaint = _CLIENT_NUMBER.sub("", record.getMessage().partition(" (after ")[0])
        now = time.monotonic()
        if now - self._passed.get(complaint, -_REPEAT_AFTER) < _REPEAT_AFTER:
            return False
        if len(self._passed) > 1_000:
            self._passed.clear()
        self._passed[complaint] = now
        return True


def _variable(name: str) -> str:
    return f"KAFKA_CONFIG_{name.upper().replace('.', '_')}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same(given: object, used: object) -> bool:
    """Whether librdkafka understands both alike."""
    text = _text(given).lower()
    if isinstance(used, bool):
        return text in ({"true", "t", "1"} if used else {"false", "f", "0"})
    return text == _text(used) or (used == "all" and text == "-1")


def _librdkafka_logger() -> logging.Logger:
    logger = logging.getLogger(_LIBRDKAFKA_LOGGER)
    if not any(isinstance(known, _RepeatFilter) for known in logger.filters):
        logger.addFilter(_RepeatFilter())
    return logger
