"""Calls into Kafka's client that have no time-out of their own, waited for no longer than one can."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Answer = TypeVar("Answer")


def answered_within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """What `call` returns or raises, in a thread of its own.

    Raises TimeoutError when it takes longer: it goes on then, and keeps no process from ending.
    """
    future: Future[Answer] = Future()
    Thread(target=_answer, args=(future, call), name="kafka-call", daemon=True).start()
    return future.result(timeout=seconds)


def _answer(future: "Future[Answer]", call: Callable[[], Answer]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # it belongs to whoever waits
        future.set_exception(error)
