"""Free ports: the old ones where possible, never one that somebody has."""

import json
from pathlib import Path

from movieapp.devstack.ports import GRPC_SERVICES, Ports, chosen_ports, free_port, is_answering, reserved_socket


def test_the_preferred_port_is_taken_when_nobody_has_it() -> None:
    port = free_port()
    assert free_port(preferred=[port]) == port


def test_a_port_that_somebody_listens_on_is_not_chosen() -> None:
    with reserved_socket(0) as busy:
        busy.listen()
        port = busy.getsockname()[1]
        assert is_answering(port)
        other = free_port()
        assert free_port(preferred=[port]) != port
        assert free_port(preferred=[port, other]) == other


def test_a_port_in_use_is_not_reserved_a_second_time() -> None:
    with reserved_socket(0) as busy:
        busy.listen()
        assert reserved_socket(busy.getsockname()[1]) is None


def numbers(ports: Ports) -> list[int]:
    return [ports.web, ports.postgres, ports.kafka, ports.kafka_controller, *ports.grpc.values()]


def test_different_ports_are_chosen_and_kept_for_the_next_run(tmp_path: Path) -> None:
    with chosen_ports(tmp_path / "ports.json", first={}) as first:
        assert len(set(numbers(first))) == 4 + len(GRPC_SERVICES)
    with chosen_ports(tmp_path / "ports.json", first={}) as second:
        assert second == first


def test_where_people_look_comes_before_what_the_last_run_had(tmp_path: Path) -> None:
    memory, wanted = tmp_path / "ports.json", {"grpc_movie": free_port()}
    with reserved_socket(wanted["grpc_movie"]) as busy:
        busy.listen()
        with chosen_ports(memory, first=wanted) as elsewhere:
            assert elsewhere.grpc["movie"] != wanted["grpc_movie"]
        with chosen_ports(memory, first=wanted) as again:
            assert again == elsewhere
    with chosen_ports(memory, first=wanted) as back:
        assert back.grpc == {**elsewhere.grpc, "movie": wanted["grpc_movie"]}


def test_two_stacks_that_start_at_once_choose_different_ones(tmp_path: Path) -> None:
    wanted = {"web": free_port(), "grpc_ratings": free_port()}
    with (
        chosen_ports(tmp_path / "one.json", first=wanted) as one,
        chosen_ports(tmp_path / "other.json", first=wanted) as other,
    ):
        assert not set(numbers(one)) & set(numbers(other))


def test_a_damaged_memory_of_ports_is_forgotten(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    for damage in ("", "[1]", '{"web": "x", "kafka": -1}', "{"):
        memory.write_text(damage)
        with chosen_ports(memory, first={}) as ports:
            assert json.loads(memory.read_text())["web"] == ports.web
            assert all(0 < port < 65536 for port in numbers(ports))
