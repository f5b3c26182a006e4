"""Messages of every kind that a ratings topic should not have, and messages that only look so."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BASE = {"recordId": "1", "recordType": "movie", "userId": "u", "ratingValue": 5, "eventType": "put"}


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """One message. `field` and `reason` are what its dead letter says; a message that is valid has no `reason`."""

    name: str
    value: bytes | None
    field: str = ""
    reason: str = ""
    key: bytes | None = b"movie:1"
    headers: tuple[tuple[str, bytes | None], ...] = ()
    milliseconds: int = 0
    """Since the Unix epoch; 0 lets the client choose."""


def event(**changes: Any) -> bytes:
    """The base event with some fields changed; a field that is `...` is left out."""
    return json.dumps({name: value for name, value in (BASE | changes).items() if value is not ...}).encode()


def put_in(text: str, *, field: str = "ratingValue") -> bytes:
    """The base event with a field's value written exactly so."""
    return event(**{field: "HERE"}).replace(b'"HERE"', text.encode("utf-8", "surrogatepass"))


def _bad(name: str, value: bytes | None, field: str, reason: str, **more: Any) -> Oddity:
    return Oddity(name=name, value=value, field=field, reason=reason, **more)


def _not_even_an_event() -> Iterator[Oddity]:
    whole = event()
    yield _bad("a tombstone", None, "", "no value")
    yield _bad("an empty payload", b"", "", "no value")
    yield _bad("a tombstone without a key", None, "", "no value", key=None)
    yield _bad("blanks", b" \n", "", "not JSON")
    yield _bad("a text that is no JSON", b"no json", "", "not JSON")
    yield _bad("truncated", whole[:-7], "", "not JSON")
    yield _bad("truncated in a text", whole[:15], "", "not JSON")
    yield _bad("truncated in an escape", event(userId="ü")[:-45], "", "not JSON")
    yield _bad("two documents", whole + whole, "", "not JSON")
    yield _bad("a trailing comma", whole[:-1] + b",}", "", "not JSON")
    yield _bad("single quotes", whole.replace(b'"', b"'"), "", "not JSON")
    yield _bad("a comment", b"/* put */" + whole, "", "not JSON")
    yield _bad("a byte order mark", b"\xef\xbb\xbf" + whole, "", "not JSON")
    yield _bad("UTF-16 with its mark", whole.decode().encode("utf-16"), "", "not UTF-8")
    yield _bad("UTF-16 without", whole.decode().encode("utf-16-le"), "", "not JSON")
    yield _bad("Latin-1", event().replace(b'"u"', b'"\xfc"'), "", "not UTF-8")
    yield _bad("a surrogate in UTF-8", put_in('"\ud800"', field="userId"), "", "not UTF-8")
    yield _bad("an overlong NUL", event().replace(b'"u"', b'"\xc0\x80"'), "", "not UTF-8")
    yield _bad("gzip", gzip.compress(whole), "", "not UTF-8")
    yield _bad("a schema registry's header", b"\x00\x00\x00\x00\x07" + whole, "", "not JSON")
    yield _bad("protobuf", b"\x0a\x01u\x12\x011\x1a\x05movie\x20\x05", "", "not JSON")
    yield _bad("XML", b"<rating/>", "", "not JSON")
    yield _bad("raw NULs", b"\x00" * 64, "", "not JSON")
    yield _bad("a raw NUL in a text", event().replace(b'"u"', b'"\x00"'), "", "not JSON")
    yield _bad("arrays 100,000 deep", b"[" * 100_000, "", "nested too deeply")
    yield _bad("objects 100,000 deep", b'{"recordId":' * 100_000, "", "nested too deeply")
    deep = b"[" * 100_000 + b"]" * 100_000
    yield _bad("a deep extra field", whole[:-1] + b',"other":' + deep + b"}", "", "nested too deeply")
    yield _bad("1.5 MB of nothing", b"x" * 1_500_000, "", "not JSON")
    yield _bad("an array", b"[" + whole + b"]", "", "an array")
    yield _bad("a number", b"5", "", "a number")
    yield _bad("a text", b'"put"', "", "a text")
    yield _bad("null", b"null", "", "null")
    yield _bad("true", b"true", "", "true or false")


def _bad_ids() -> Iterator[Oddity]:
    for field in ("recordId", "recordType", "userId"):
        yield _bad(f"no {field}", event(**{field: ...}), field, "missing")
        yield _bad(f"a {field} of null", event(**{field: None}), field, "missing")
        yield _bad(f"an empty {field}", event(**{field: ""}), field, "empty")
    for field in ("recordId", "recordType", "userId", "providerId"):
        yield _bad(f"a {field} of true", event(**{field: True}), field, "true")
        yield _bad(f"a {field} that is a list", event(**{field: ["1"]}), field, "an array")
        yield _bad(f"a {field} that is an object", event(**{field: {"id": 1}}), field, "an object")
        yield _bad(f"a NUL in {field}", event(**{field: "a\x00"}), field, "NUL")
        yield _bad(f"half a surrogate pair in {field}", event(**{field: "\ud83d"}), field, "surrogate")
        yield _bad(f"a {field} of 129 characters", event(**{field: "x" * 129}), field, "129 characters")
    yield _bad("a surrogate pair the wrong way round", event(userId="\udc00\ud800"), "userId", "surrogate")
    yield _bad("a userId of 900 kB", event(userId="x" * 900_000), "userId", "900000 characters")
    yield _bad("a number of 200 digits as an id", put_in("9" * 200, field="recordId"), "recordId", "200 characters")
    yield _bad("NaN as an id", put_in("NaN", field="recordId"), "", "NaN")
    yield _bad("another spelling of a field", event(recordId=..., recordID="1"), "recordId", "missing")
    twice = event()[:-1] + b',"userId":""}'
    yield _bad("a field twice, the last one bad", twice, "userId", "empty")


def _bad_values() -> Iterator[Oddity]:
    for text in ("NaN", "Infinity", "-Infinity"):
        yield _bad(f"{text} as a value", put_in(text), "", text)
    for text in ("1e400", "-1e400", "1e999999999", "10.1", "11", "-1", "-0.1", "4.35", "4.3000001", "1e-9"):
        yield _bad(f"a value of {text}", put_in(text), "ratingValue", text)
    yield _bad("a value of 5,000 digits", put_in("5" * 5_000), "ratingValue", "at most one decimal")
    for text in ("05", "+5", ".5", "5.", "0x5", "5_0", "\N{ARABIC-INDIC DIGIT FIVE}"):
        yield _bad(f"a value written {text}", put_in(text), "", "not JSON")
    for value, shown in (("5", "a text"), ("", "a text"), (True, "true"), ([5], "an array"), ({}, "an object")):
        yield _bad(f"a value of {value!r}", event(ratingValue=value), "ratingValue", shown)
    yield _bad("a put without a value", event(ratingValue=...), "ratingValue", "a put needs")
    yield _bad("a put of null", event(ratingValue=None), "ratingValue", "a put needs")
    yield _bad("two values", event(value=4), "ratingValue", "give one of them")
    yield _bad("a bad value in the book's dialect", event(ratingValue=..., value=11), "value", "11")
    yield _bad("a bad value beside a good one", event(value="5"), "value", "a text")
    for kind in ("PUT", "upsert", "", 1, ["put"], True):
        yield _bad(f"an eventType of {kind!r}", event(eventType=kind), "eventType", "neither")
    yield _bad("no eventType", event(eventType=...), "eventType", "missing")
    yield _bad("an eventType of null", event(eventType=None), "eventType", "missing")


def _bad_around() -> Iterator[Oddity]:
    trace = (("trace", b"\x00\xff"), ("trace", None), ("ü", b""))
    yield _bad("a key of 100 kB", b"{", "", "not JSON", key=b"\xff" * 100_000)
    yield _bad("headers", b"{", "", "not JSON", key=b"", headers=trace)
    yield _bad("a time in a thousand years", b"{", "", "not JSON", milliseconds=33_000_000_000_000)
    yield _bad("a time before all others", b"{", "", "not JSON", milliseconds=1)


BAD = (*_not_even_an_event(), *_bad_ids(), *_bad_values(), *_bad_around())
"""Each of them becomes one dead letter with this field and a reason that has these words."""


def _odd() -> Iterator[Oddity]:
    odd: dict[str, bytes] = {
        "blanks around": b" \r\n\t" + event() + b" \n",
        "minus nought": put_in("-0"),
        "minus nought point nought": put_in("-0.0"),
        "a decimal of nought": put_in("5.0"),
        "an exponent": put_in("0.45e1"),
        "more digits than a float has": put_in("4.30000000000000000000001"),
        "both dialects": event(value=5.0),
        "numbers for ids": event(recordId=1, userId=105, recordType=7),
        "an id written as it will be kept": put_in("1.50", field="recordId"),
        "an id beyond 64 bits": put_in("123456789012345678901234567890", field="recordId"),
        "no provider": event(providerId=None),
        "a field twice, the last one good": b'{"userId":"",' + event()[1:],
        "fields that nobody asked for": event(other=[{"deep": [None, True, 1e300]}], **{"": 1}),
        "a delete with a value that is none": event(eventType="delete", ratingValue="eleven"),
        "a delete without a value": event(eventType="delete", ratingValue=...),
        "escapes": event(userId="\N{GRINNING FACE}ü\n\t\x7f"),
        "128 characters of four bytes": json.dumps(
            BASE | {"userId": "\N{GRINNING FACE}" * 128}, ensure_ascii=False
        ).encode(),
        "1 MB beside the event": event(other="x" * 1_000_000),
    }
    for name, value in odd.items():
        yield Oddity(name=name, value=value)
    yield Oddity(name="no key", value=event(), key=None)
    yield Oddity(name="an empty key", value=event(), key=b"")
    yield Oddity(name="a key of 100 kB", value=event(), key=b"\x00" * 100_000)
    yield Oddity(name="headers of 200 kB", value=event(), headers=tuple((str(n), b"v" * 1_000) for n in range(200)))
    yield Oddity(name="a time in a thousand years", value=event(), milliseconds=33_000_000_000_000)
    yield Oddity(name="a time before all others", value=event(), milliseconds=1)


ODD = tuple(_odd())
"""Unusual, and valid: each of them is applied."""
