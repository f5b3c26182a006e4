"""What EtcdRegistry makes of answers that a real etcd gives too rarely, or too late, to wait for them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from aetcd import rpc

from workers.discovery.errors import RegistryUnavailable
from workers.discovery.etcd import EtcdRegistry
from workers.discovery.registry import Instance


@pytest.fixture
def registry() -> Iterator[EtcdRegistry]:
    """Of two members; nobody is there."""
    made = EtcdRegistry(["127.0.0.1:1", "127.0.0.1:2"])
    yield made
    made.close()


@pytest.mark.parametrize(
    ("cluster", "revision", "was_reset"), [(1, 7, False), (1, 8, False), (1, 6, True), (2, 9, True)]
)
def test_a_lower_revision_or_another_cluster_began_anew(
    registry: EtcdRegistry, monkeypatch: pytest.MonkeyPatch, cluster: int, revision: int, was_reset: bool
) -> None:
    """Another cluster may have come further already."""
    answers = iter([(1, 7), (cluster, revision)])

    def answer(*_: object, **__: object) -> rpc.RangeResponse:
        cluster_id, at = next(answers)
        return rpc.RangeResponse(header=rpc.ResponseHeader(cluster_id=cluster_id, revision=at))

    monkeypatch.setattr(registry, "_answer", answer)
    mark = registry.look("ratings", after=None, wait=0.0).mark
    assert registry.look("ratings", after=mark, wait=0.0).was_reset is was_reset


def test_threads_that_fail_together_all_come_to_the_member_that_answers(registry: EtcdRegistry) -> None:
    away, there = registry._members
    asked_together = threading.Barrier(3, timeout=10)
    one_by_one = threading.Lock()

    def ask(member: object, _: float) -> str:
        if member is there:
            return "an answer"
        asked_together.wait()  # who is sent here once more waits in vain
        with one_by_one:
            raise ValueError("away")

    assert away is not there
    with ThreadPoolExecutor(3) as pool:
        assert [one.result() for one in [pool.submit(registry._answer, ask) for _ in range(3)]] == ["an answer"] * 3
    asked_together.abort()  # from now on the first member is asked no more
    assert registry._answer(ask) == "an answer"


def test_nothing_is_made_of_a_channel_that_is_closed(registry: EtcdRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stub that is made then uses memory that is free: the process may end, at once or later."""
    for name in ("KVStub", "LeaseStub", "WatchStub"):
        monkeypatch.delattr(rpc, name)
    registry.close()
    with pytest.raises(RegistryUnavailable, match=r"[Cc]hannel"):
        registry.look("ratings", after=None, wait=0.0)
    with pytest.raises(RegistryUnavailable, match=r"[Cc]hannel"):
        registry.register(Instance("ratings", "a", "127.0.0.1", 8082), ttl=2.0)
    with pytest.raises(RegistryUnavailable, match=r"[Cc]hannel"):
        registry._watch(b"/movieapp/services/ratings/", from_revision=1, wait=5.0)


def test_a_heartbeat_takes_one_round_trip() -> None:
    """Two in a row are too slow for a short TTL where etcd is far away: the lease and its key are asked for at once."""
    both = threading.Barrier(2, timeout=4)

    def granted(request: Any, _: object) -> Any:
        return rpc.LeaseGrantResponse(ID=7, TTL=request.TTL)

    def kept_alive(requests: Iterator[Any], _: object) -> Iterator[Any]:
        for request in requests:
            both.wait()
            yield rpc.LeaseKeepAliveResponse(ID=request.ID, TTL=2)

    def found(*_: object) -> Any:
        both.wait()
        return rpc.RangeResponse(count=1)

    methods = {
        "Lease": {
            "LeaseGrant": _one_answer(granted, rpc.LeaseGrantRequest),
            "LeaseKeepAlive": grpc.stream_stream_rpc_method_handler(
                kept_alive, rpc.LeaseKeepAliveRequest.FromString, rpc.LeaseKeepAliveResponse.SerializeToString
            ),
        },
        "KV": {
            "Put": _one_answer(lambda *_: rpc.PutResponse(), rpc.PutRequest),
            "Range": _one_answer(found, rpc.RangeRequest),
        },
    }
    server = grpc.server(ThreadPoolExecutor(4))
    for service, handlers in methods.items():
        handler = grpc.method_handlers_generic_handler(f"etcdserverpb.{service}", handlers)
        server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    registry, instance = EtcdRegistry([f"127.0.0.1:{port}"]), Instance("ratings", "a", "10.0.0.1", 8082)
    registry.register(instance, ttl=2.0)
    registry.heartbeat(instance)
    registry.close()
    server.stop(0).wait()


def _one_answer(answer: Any, request: Any) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(answer, request.FromString, lambda message: message.SerializeToString())
