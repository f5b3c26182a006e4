"""A connection that waits for one answer too long is found, a busy one never; cutting harms nobody else."""

import socket

import psycopg
from psycopg import pq

from movieapp.rpc.silence import IDLE, LOOK_EVERY, PATIENCE, Idlers, Silences, cut

LOOKS = int(PATIENCE / LOOK_EVERY)
"""At so many looks a connection may wait for the same answer."""


class Connection:
    """Stands for psycopg's."""

    def __init__(self):
        self.asked = object()
        self.transaction_status = pq.TransactionStatus.ACTIVE
        self.pgconn = self


def found(silences, *connections, looks=1):
    return [one for _ in range(looks) for one in silences.look(connections)]


def test_one_that_waits_for_the_same_answer_is_found_and_no_other():
    silences, silent, busy, idle = Silences(), Connection(), Connection(), Connection()
    idle.transaction_status = pq.TransactionStatus.INTRANS
    for _ in range(LOOKS):
        busy.asked = object()
        assert found(silences, silent, busy, idle) == []
    busy.asked = object()
    assert found(silences, silent, busy, idle) == [silent]


def test_one_that_had_an_answer_meanwhile_has_all_its_time_again():
    silences, slow = Silences(), Connection()
    assert found(silences, slow, looks=LOOKS) == []
    slow.transaction_status = pq.TransactionStatus.IDLE
    assert found(silences, slow) == []
    slow.transaction_status = pq.TransactionStatus.ACTIVE
    assert found(silences, slow, looks=LOOKS) == []
    assert found(silences, slow) == [slow]


def test_statements_have_ended_by_themselves_before():
    assert LOOKS * LOOK_EVERY > 5 + LOOK_EVERY  # seconds of statement_timeout


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_old_ones_that_nobody_asks_anything_are_found_once():
    clock = Clock()
    idlers, old, young, asked, busy, endless = Idlers(clock=clock), *(Connection() for _ in range(5))
    for one in (old, young, asked, endless):
        one.transaction_status = pq.TransactionStatus.IDLE
    old.kept_until = asked.kept_until = busy.kept_until = clock.now
    young.kept_until, endless.kept_until = clock.now + 3600, None
    found = []
    for _ in range(int(2 * IDLE / LOOK_EVERY)):
        clock.now += LOOK_EVERY
        asked.asked = object()
        looked = idlers.look([old, young, asked, busy, endless])
        assert not looked or clock.now >= 100 + IDLE
        found += looked
    assert found == [old]


class Ending:
    """A connection that its thread closes while it is cut: its descriptor is another one's at the second look."""

    def __init__(self, *descriptors):
        self.descriptors = list(descriptors)

    def fileno(self):
        descriptor = self.descriptors.pop(0)
        if descriptor is None:
            raise psycopg.OperationalError("the connection is closed")
        return descriptor


def test_cutting_one_that_is_just_closed_harms_nobody():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        cut(Ending(None))
        cut(Ending(ours.fileno(), None))
        cut(Ending(ours.fileno(), theirs.fileno()))
        ours.send(b"still there")
        assert theirs.recv(100) == b"still there"
        cut(Ending(ours.fileno(), ours.fileno()))
        assert theirs.recv(100) == b""
