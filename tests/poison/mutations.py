"""Valid events that are changed at random, which most of them do not survive."""

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.poison.messages import BASE

_SNIPPETS = (
    *(
        b"null",
        b"true",
        b"false",
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"-0",
        b"0.1",
        b"4.35",
        b"10",
        b"10.1",
        b"99",
        b"5e0",
    ),
    *(b"{}", b"[]", b"[1]", b'""', b'"5"', b'"put"', b'"delete"', b'"\\u0000"', b'"\\ud83d"', b'"\\ud83d\\ude00"'),
    *(
        b'"' + b"x" * 128 + b'"',
        b'"' + b"x" * 129 + b'"',
        b'"\xc3\xbc"',
        b'"\xff"',
        b'"\x00"',
        b"[" * 50,
        b"\xef\xbb\xbf",
    ),
)
_NAMES = ("recordId", "recordType", "userId", "providerId", "ratingValue", "value", "eventType", "other")


def mutations(seed: int) -> Iterator[bytes]:
    """Valid events, each changed at random in one to three places: bytes, members, or values. Without end."""
    draw = random.Random(seed)
    while True:
        payload = _valid(draw)
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            payload = draw.choice(_WAYS)(draw, payload)
        yield payload


def _valid(draw: random.Random) -> bytes:
    members: dict[str, Any] = BASE | {"recordId": str(draw.randrange(20)), "userId": str(draw.randrange(50))}
    members["eventType"] = draw.choice(("put", "put", "put", "delete"))
    members[draw.choice(("ratingValue", "ratingValue", "value"))] = draw.randrange(101) / 10
    if draw.random() < 0.2:
        members["providerId"] = draw.choice(("imdb", "tmdb", None, 7))
    names = draw.sample(sorted(members), len(members))
    return json.dumps({name: members[name] for name in names}).encode()


def _bytes_changed(draw: random.Random, payload: bytes) -> bytes:
    start = draw.randrange(len(payload) + 1)
    return payload[:start] + draw.randbytes(draw.randrange(3)) + payload[start + draw.randrange(4) :]


def _cut(draw: random.Random, payload: bytes) -> bytes:
    return payload[: draw.randrange(len(payload) + 1)]


def _snippet_put_in(draw: random.Random, payload: bytes) -> bytes:
    start = draw.randrange(len(payload) + 1)
    return payload[:start] + draw.choice(_SNIPPETS) + payload[start:]


def _member_added(draw: random.Random, payload: bytes) -> bytes:
    """At the front or at the end, where it takes the place of one of the same name."""
    member = json.dumps(draw.choice(_NAMES)).encode() + b":" + draw.choice(_SNIPPETS)
    return b"{" + member + b"," + payload[1:] if draw.random() < 0.3 else payload[:-1] + b"," + member + b"}"


def _name_changed(draw: random.Random, payload: bytes) -> bytes:
    return payload.replace(draw.choice(_NAMES).encode(), draw.choice(_NAMES).encode(), 1)


def _value_changed(draw: random.Random, payload: bytes) -> bytes:
    start = payload.find(b":", draw.randrange(len(payload) + 1)) + 1
    end = min((place for place in (payload.find(mark, start) for mark in b",}") if place > 0), default=len(payload))
    return payload[:start] + draw.choice(_SNIPPETS) + payload[end:]


def _respaced(draw: random.Random, payload: bytes) -> bytes:
    return payload.replace(
        draw.choice((b",", b":", b"{")), draw.choice((b"\n,", b" :", b"{\t", b", ")), draw.randrange(1, 3)
    )


def _escaped(draw: random.Random, payload: bytes) -> bytes:
    """One letter as JSON may write it too: the same event."""
    start = draw.randrange(len(payload) + 1)
    letter = payload[start : start + 1]
    return payload[:start] + b"\\u%04x" % letter[0] + payload[start + 1 :] if letter.isalpha() else payload


_WAYS = (
    *(_bytes_changed, _cut, _snippet_put_in, _member_added, _member_added, _name_changed, _value_changed),
    *(_respaced, _escaped, _escaped),
)
