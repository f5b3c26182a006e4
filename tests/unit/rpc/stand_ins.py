"""Stands in, in tests without a server, for what a call's pipeline has around it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

from movieapp.rpc.arrival import Arrivals
from movieapp.rpc.departure import Departures
from movieapp.rpc.errors import NotPermitted
from movieapp.rpc.method import Pipeline
from movieapp.rpc.open_streams import OpenStreams


class Aborted(Exception):
    pass


class Context:
    """As grpc's, for one call."""

    def __init__(self, left=5.0):
        self.left = left
        self.aborted = None
        self.cancelled = 0
        self.is_active = True
        self.callbacks = []

    def add_callback(self, callback):
        if self.is_active:
            self.callbacks.append(callback)
        return self.is_active

    def cancel(self):
        self.cancelled += 1

    def time_remaining(self):
        return self.left

    def abort(self, code, words):
        self.aborted = (code.name, words)
        raise Aborted


class Connections:
    """Stands for a thread's connection."""

    def __init__(self, *, has_served=True, is_lost=True):
        self.has_served = has_served
        self.lost = is_lost
        self.closed = 0

    def close(self):
        self.closed += 1

    def tidy(self):
        return self.has_served

    def is_lost(self):
        return self.lost


class Watcher:
    """An observer that writes down what it is told."""

    def __init__(self):
        self.told = []

    def of(self, *, service, method, is_stream):
        self.told.append((service, method))
        return self

    def on_start(self):
        self.told.append("start")

    def on_end(self, code, seconds):
        assert 0 <= seconds < 5
        self.told.append(code)


class Nobody:
    """A guard that lets nobody in."""

    def check(self, context, rule):
        raise NotPermitted("nobody writes here")


class Anybody:
    """A guard that lets everybody in."""

    def check(self, context, rule):
        pass


class Threads(ThreadPoolExecutor):
    """Stands for a server's; `is_full` when the test says so."""

    def __init__(self, *, is_full=False):
        super().__init__(1)
        self.is_full = is_full


def pipeline_of(observer, *, guard=None, connections=None, calls=None, streams=None, slots=1, open_streams=None):
    return Pipeline(
        guard=guard or Nobody(),
        observer=observer,
        connections=connections or Connections(),
        arrivals=Arrivals(crowd=8),
        departures=Departures(),
        calls=calls or Threads(),
        streams=streams or Threads(),
        openings=Arrivals(crowd=8),
        open_streams=OpenStreams() if open_streams is None else open_streams,
        slots=Semaphore(slots),
    )
