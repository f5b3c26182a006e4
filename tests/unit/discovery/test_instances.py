"""What counts as an instance, and the registry that is only a setting."""

import threading
import time

import pytest
import structlog

from tests.unit.discovery.scene import instance
from workers.discovery.registry import Instance
from workers.discovery.static import StaticRegistry


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.0.0.1", "10.0.0.1:8082"),
        ("ratings-1.example.org", "ratings-1.example.org:8082"),
        ("ratings_1.example.org.", "ratings_1.example.org.:8082"),
        ("a" * 63 + ".b", "a" * 63 + ".b:8082"),
        ("::1", "[::1]:8082"),
    ],
)
def test_an_address_as_its_callers_write_it(host: str, address: str) -> None:
    assert instance("a", host=host).address == address


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service", ""),
        ("service", "a/b"),
        ("id", "a b"),
        ("id", 7),
        ("host", ""),
        ("host", "a,b"),
        ("host", "[::1]"),
        ("host", "a\n"),
        ("host", None),
        ("host", "a..b"),
        ("host", ".a"),
        ("host", "-a"),
        ("host", "a" * 64),
        ("host", "a." * 127),
        ("host", "ratings-1:8082"),
        ("host", "10.0.0.1:8082"),
        ("host", "::1::"),
        ("host", "fe80::1%eth0"),  # each machine has interfaces of its own
        *[("host", host) for host in ("0.0.0.0", "::", "::0", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0", "0", "0.0", "0x0")],
        ("port", 0),
        ("port", 65_536),
        ("port", "8082"),
        ("port", True),
        ("port", 8082.0),
    ],
)
def test_what_anybody_may_have_written_into_a_registry_is_no_instance(field: str, value: object) -> None:
    facts = {"service": "ratings", "id": "a", "host": "h", "port": 8082, field: value}
    with pytest.raises(ValueError, match="is"):
        Instance(**facts)  # type: ignore[arg-type]


class TestStatic:
    """Its contract is smaller than the others': nobody comes or goes."""

    registry = StaticRegistry({"ratings": [("127.0.0.1", 8082), ("::1", 9082)], "metadata": [("127.0.0.1", 8081)]})

    def test_it_lists_what_the_setting_has(self) -> None:
        listed = self.registry.services()
        assert [(one.service, one.address) for one in listed] == [
            ("metadata", "127.0.0.1:8081"),
            ("ratings", "[::1]:9082"),
            ("ratings", "127.0.0.1:8082"),
        ]
        assert len({one.id for one in listed}) == 3
        look = self.registry.look("ratings", after=None, wait=60.0)
        assert look.instances == set(listed[1:])
        assert self.registry.look("movie", after=None, wait=60.0).instances == set()

    def test_a_look_waits_and_sees_no_change(self) -> None:
        first = self.registry.look("ratings", after=None, wait=0.0)
        began = time.monotonic()
        second = self.registry.look("ratings", after=first.mark, wait=0.1)
        assert time.monotonic() - began >= 0.1
        assert (second.instances, second.was_reset) == (first.instances, False)

    def test_nobody_enters_or_leaves(self) -> None:
        before = self.registry.services()
        self.registry.register(instance("new", port=9999), ttl=2.0)
        self.registry.heartbeat(instance("new", port=9999))
        self.registry.deregister(before[0])
        assert self.registry.services() == before

    def test_who_serves_at_a_port_that_nobody_looks_at_is_told(self) -> None:
        with structlog.testing.capture_logs() as logs:
            self.registry.register(instance("new", port=8082, host="ratings.example.org"), ttl=2.0)
            assert logs == []
            self.registry.register(instance("new", port=9999), ttl=2.0)
        assert [(log["event"], log["port"]) for log in logs] == [("found_by_nobody", 9999)]
        assert "DISCOVERY_STATIC" in logs[0]["mend"]

    def test_closing_ends_a_look_that_waits(self) -> None:
        registry = StaticRegistry({})
        mark = registry.look("ratings", after=None, wait=0.0).mark
        waiting = threading.Thread(target=lambda: registry.look("ratings", after=mark, wait=60.0), daemon=True)
        waiting.start()
        registry.close()
        waiting.join(5)
        assert not waiting.is_alive()
