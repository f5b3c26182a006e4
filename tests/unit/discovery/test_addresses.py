"""What a channel is made for."""

import pytest

from workers.discovery.addresses import is_name, look_up, target_of


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        ([("10.0.0.1", 8082)], "ipv4:10.0.0.1:8082"),
        ([("10.0.0.1", 8082), ("10.0.0.2", 8083)], "ipv4:10.0.0.1:8082,10.0.0.2:8083"),
        ([("::1", 8082)], "ipv6:[::1]:8082"),
        ([("10.0.0.1", 8082), ("fd00::2", 8083)], "ipv6:[::ffff:10.0.0.1]:8082,[fd00::2]:8083"),
    ],
)
def test_all_addresses_are_in_one_target(addresses, target) -> None:
    assert target_of(addresses) == target


@pytest.mark.parametrize(("host", "named"), [("10.0.0.1", False), ("::1", False), ("ratings-1.internal", True)])
def test_what_has_to_be_looked_up(host: str, named: bool) -> None:
    assert is_name(host) is named


@pytest.mark.parametrize("name", ["a..b", "a" * 64, ".a"])
def test_a_name_that_is_none_is_not_found(name: str) -> None:
    with pytest.raises(OSError):
        look_up(name)


def test_the_machine_knows_itself() -> None:
    assert set(look_up("localhost")) & {"127.0.0.1", "::1"}
