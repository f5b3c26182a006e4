"""`serve_grpc --workers N` with mutual TLS, calls and open streams: what a killed one takes with it, and what not."""

import os
import signal
import threading
from contextlib import ExitStack

import grpc
import pytest

from protos.movieapp.v1 import rating_pb2 as pb
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from ratings.services import rating_put
from tests.fixtures.certificates import FILES
from tests.fixtures.supervised import children
from tests.waiting import wait_until

MUTUAL = {
    "GRPC_TLS_CERTIFICATE": str(FILES / "server.pem"),
    "GRPC_TLS_KEY": str(FILES / "server.key"),
    "GRPC_TLS_CLIENT_CA": str(FILES / "authority.pem"),
}
_MANY = 16  # connections: that all of them reach one of two is as likely as a coin's showing heads so often
_PAUSE = 0.02
_CALLED = pb.GetAggregatedRatingRequest(record_type="movie", record_id="nobody rated it")
_WATCHED = pb.WatchAggregateRequest(records=[pb.Record(type="movie", id="7")])


class Client:
    """One connection, over which somebody calls again and again, and watches a movie."""

    def __init__(self, target):
        files = [(FILES / name).read_bytes() for name in ("authority.pem", "client.key", "client.pem")]
        options = [("grpc.ssl_target_name_override", "movieapp.test"), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(*files), options)
        self.stub = RatingServiceStub(self.channel)
        self.codes = []
        self.counts = []
        self.ended = None
        self._stops = threading.Event()
        self._threads = [threading.Thread(target=self._call_on, daemon=True)]
        self._threads[0].start()
        self.watch()

    def watch(self):
        """Begins to watch, anew."""
        self.ended = None
        self._threads.append(threading.Thread(target=self._watch, daemon=True))
        self._threads[-1].start()

    def stop_calling(self):
        self._stops.set()
        self._threads[0].join()

    def close(self):
        self._stops.set()
        self.channel.close()
        for thread in self._threads:
            thread.join()

    def _call_on(self):
        while not self._stops.wait(_PAUSE):
            try:
                self.stub.GetAggregatedRating(_CALLED, timeout=10, wait_for_ready=True)
            except grpc.RpcError as error:
                self.codes.append(error.code())
            except ValueError:  # the channel is closed
                return

    def _watch(self):
        try:
            for answer in self.stub.WatchAggregate(_WATCHED, timeout=120, wait_for_ready=True):
                self.counts.append(answer.ratings[0].rating.count)
        except grpc.RpcError as error:
            self.ended = (error.code(), error.details())
        except ValueError:
            pass


@pytest.fixture
def workers(start_manage):
    process = start_manage("serve_grpc", "--service=ratings", "--port=0", "--workers=2", env=MUTUAL)
    wait_until(lambda: len(process.entries("serving")) == 2, timeout=60, message=process.output)
    return process


@pytest.fixture
def clients(workers):
    with ExitStack() as stack:
        made = [Client(workers.served()) for _ in range(_MANY)]
        for client in made:
            stack.callback(client.close)
        wait_until(lambda: all(client.counts and client.codes for client in made), message=workers.output)
        yield made


def rate(user):
    rating_put(record_type="movie", record_id="7", provider_id="", user_id=user, tenths=40)


def test_a_killed_one_takes_its_own_connections_and_no_other(workers, clients):
    os.kill(children(workers)[1], signal.SIGKILL)
    wait_until(lambda: len(workers.entries("serving")) == 3, timeout=60, message=workers.output)
    its = [client for client in clients if client.ended]
    others = [client for client in clients if not client.ended]
    assert its
    assert others
    assert {client.ended[0] for client in its} == {grpc.StatusCode.UNAVAILABLE}

    rate("ann")
    wait_until(lambda: all(client.counts[-1] == 1 for client in others), message=workers.output)
    for client in its:
        client.watch()
    wait_until(lambda: all(client.counts[-1] == 1 for client in its), message=workers.output)

    for client in clients:
        answered = len(client.codes)
        wait_until(lambda client=client, answered=answered: len(client.codes) > answered + 2)
        client.stop_calling()
    for client in others:
        assert set(client.codes) == {grpc.StatusCode.NOT_FOUND}
    for client in its:  # the call that it had in hand, if any
        assert set(client.codes) <= {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE}
        assert client.codes.count(grpc.StatusCode.UNAVAILABLE) <= 1

    workers.terminate()
    assert workers.wait() == 0, workers.output()
    wait_until(lambda: all(client.ended for client in clients))
    words = "the server stops: open the stream again, at another one"
    assert {client.ended for client in clients} == {(grpc.StatusCode.UNAVAILABLE, words)}
