"""Free ports: the old ones where possible, never one that somebody has."""

import json
from dataclasses import astuple
from pathlib import Path

from movieapp.devstack.ports import choose_ports, free_port, is_answering, reserved_socket


def test_the_preferred_port_is_taken_when_nobody_has_it() -> None:
    port = free_port()
    assert free_port(preferred=port) == port


def test_a_port_that_somebody_listens_on_is_not_chosen() -> None:
    with reserved_socket(0) as busy:
        busy.listen()
        port = busy.getsockname()[1]
        assert is_answering(port)
        assert free_port(preferred=port) != port


def test_a_port_in_use_is_not_reserved_a_second_time() -> None:
    with reserved_socket(0) as busy:
        busy.listen()
        assert reserved_socket(busy.getsockname()[1]) is None


def test_four_different_ports_are_chosen_and_kept_for_the_next_run(tmp_path: Path) -> None:
    first = choose_ports(tmp_path / "ports.json", first_web=0)
    assert len(set(astuple(first))) == 4
    assert choose_ports(tmp_path / "ports.json", first_web=0) == first


def test_a_damaged_memory_of_ports_is_forgotten(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    for damage in ("", "[1]", '{"web": "x", "kafka": -1}', "{"):
        memory.write_text(damage)
        ports = choose_ports(memory, first_web=0)
        assert json.loads(memory.read_text())["web"] == ports.web
        assert all(0 < port < 65536 for port in astuple(ports))
