"""Payloads from anywhere, as text that does nothing to a terminal or a page."""

import base64

import pytest

from workers.ingestion.dead_letters.payloads import LONGEST_SHOWN, header_values, payload_text, printable


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (None, "null"),
        (b"", ""),
        ('{"ü": 1}\n'.encode(), '{"ü": 1}\n'),
        (b"a\x1b[31mb\x00\r", r"a\x1b[31mb\x00\r"),
        ("\u202egnp.exe\u2028".encode(), r"\u202egnp.exe\u2028"),
        (b"\xff\x00", "(not UTF-8) ff 00"),
    ],
)
def test_a_payload_is_spelt_out(payload: bytes | None, text: str) -> None:
    assert payload_text(payload) == text


def test_a_long_payload_is_cut_and_says_so() -> None:
    text = payload_text("é".encode() * LONGEST_SHOWN)
    assert text.startswith("é" * 100)
    assert text.endswith(f"… and {LONGEST_SHOWN} bytes more")


def test_one_line_stays_one_line() -> None:
    assert printable("a\nb\tü") == r"a\nb\tü"


@pytest.mark.parametrize(
    ("kept", "values"),
    [
        ([], []),
        ([["a", base64.b64encode(b"\x00").decode()], ["a", None], ["", ""]], [("a", b"\x00"), ("a", None), ("", b"")]),
        ([["a", "not base64!"], ["b", 5]], [("a", b"not base64!"), ("b", b"5")]),
        ([["a"], "xy", 7], [("", b"['a']"), ("", b"xy"), ("", b"7")]),
        (None, [("", b"None")]),
    ],
)
def test_headers_are_read_as_they_are_kept(kept: object, values: list[tuple[str, bytes | None]]) -> None:
    assert list(header_values(kept)) == values
