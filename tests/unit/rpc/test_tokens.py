"""Who may write: by a token of a user with the permissions, looked up now and then; without one where that is said."""

import pytest
from rest_framework.exceptions import AuthenticationFailed

from movieapp.rpc import tokens
from movieapp.rpc.errors import NotPermitted, Unauthenticated
from movieapp.rpc.rules import Write
from movieapp.rpc.tokens import KEEP, TokenGuard

PUT = Write(("metadata.add_movie", "metadata.change_movie"))
OF_THE_TUTORIAL = Write(PUT.permissions, open_to_loopback=True)


class Context:
    """A call with this metadata."""

    def __init__(self, *values):
        self.metadata = [("user-agent", "test"), *(("authorization", value) for value in values)]

    def invocation_metadata(self):
        return self.metadata


class User:
    def __init__(self, *permissions):
        self.permissions = set(permissions)

    def has_perms(self, wanted):
        return self.permissions.issuperset(wanted)


class Users:
    """Users by token; counts how often it is asked."""

    def __init__(self, **known):
        self.known = known
        self.asked = []

    def __call__(self, token):
        self.asked.append(token)
        try:
            return self.known[token.decode()]
        except KeyError:
            raise AuthenticationFailed("Invalid token.") from None


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def users():
    return Users(writer=User(*PUT.permissions), half=User("metadata.add_movie"))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def guard(users, clock):
    return TokenGuard(is_open=False, user_of=users, clock=clock)


@pytest.fixture
def open_guard(users, clock):
    return TokenGuard(is_open=True, user_of=users, clock=clock)


@pytest.mark.parametrize("given", ["Bearer writer", "bearer writer", "Token writer", "TOKEN  writer "])
def test_a_writer(guard, given):
    guard.check(Context(given), PUT)


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("Bearer",),
        ("",),
        ("writer",),
        ("Basic d3JpdGVyOg==",),
        ("Bearer writer writer",),
        ("Bearer writer", "Bearer writer"),
        ("Bearer stranger",),
        ("Bearer wr\u00eeter",),
        ("Bearer \ud800",),
    ],
)
def test_who_makes_no_known_call(guard, given):
    with pytest.raises(Unauthenticated, match="authorization: Bearer TOKEN") as caught:
        guard.check(Context(*given), PUT)
    assert "writer" not in str(caught.value)
    assert "stranger" not in str(caught.value)


def test_a_user_without_all_of_the_permissions(guard):
    with pytest.raises(NotPermitted, match=r"wants the permissions metadata\.add_movie, metadata\.change_movie"):
        guard.check(Context("Bearer half"), PUT)


def test_methods_whose_clients_know_of_no_tokens(guard, open_guard):
    open_guard.check(Context(), OF_THE_TUTORIAL)
    for closed, rule in ((guard, OF_THE_TUTORIAL), (open_guard, PUT)):
        with pytest.raises(Unauthenticated):
            closed.check(Context(), rule)


@pytest.mark.parametrize("given", ["Bearer stranger", "Basic d3JpdGVyOg==", ""])
def test_what_is_given_is_checked_also_where_nothing_is_wanted(open_guard, given):
    with pytest.raises(Unauthenticated):
        open_guard.check(Context(given), OF_THE_TUTORIAL)


def test_a_token_is_looked_up_once_in_five_seconds(guard, users, clock):
    for _ in range(3):
        guard.check(Context("Bearer writer"), PUT)
        clock.now += (KEEP - 0.1) / 3
    assert len(users.asked) == 1
    clock.now += 0.2
    guard.check(Context("Bearer writer"), PUT)
    assert len(users.asked) == 2


def test_a_token_that_was_ended_is_worth_nothing_five_seconds_later(guard, users, clock):
    guard.check(Context("Bearer writer"), PUT)
    del users.known["writer"]
    clock.now += KEEP
    with pytest.raises(Unauthenticated):
        guard.check(Context("Bearer writer"), PUT)


def test_a_token_that_is_refused_is_looked_up_each_time(guard, users):
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            guard.check(Context("Bearer later"), PUT)
    users.known["later"] = User(*PUT.permissions)
    guard.check(Context("Bearer later"), PUT)


def test_not_more_are_remembered_than_there_is_room_for(guard, users, monkeypatch):
    monkeypatch.setattr(tokens, "_MOST", 3)
    users.known.update({f"user{number}": User(*PUT.permissions) for number in range(5)})
    for number in range(5):
        guard.check(Context(f"Bearer user{number}"), PUT)
    assert len(guard._known) == 3
    users.asked.clear()
    for number in (4, 3, 2, 0):
        guard.check(Context(f"Bearer user{number}"), PUT)
    assert users.asked == [b"user0"]
    assert not any(b"user" in key for key in guard._known)


def test_an_outage_of_the_database_is_no_refusal(clock):
    def away(token):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        TokenGuard(is_open=False, user_of=away, clock=clock).check(Context("Bearer writer"), PUT)
