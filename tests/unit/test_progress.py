"""How far a command is, on a terminal, elsewhere, and where nobody wants to know."""

import io
import logging
import re
import sys

import pytest

from movieapp.progress import shown_progress


def test_progress_is_a_plain_line_every_few_seconds_where_there_is_no_terminal() -> None:
    now = 0.0
    stream = io.StringIO()
    with shown_progress(title="a.csv", unit="events", stream=stream, clock=lambda: now) as meter:
        for second in range(1, 13):
            now = float(second)
            meter.update(count=second * 1_000, share=second / 20)
        meter.say("a word")
        now = 18.0
        meter.update(count=20_000, title="b.csv")
    assert stream.getvalue().splitlines() == [
        "a.csv: 5,000 events, 1,000/s, 25%, about 0:00:15 left",
        "a.csv: 10,000 events, 1,000/s, 50%, about 0:00:10 left",
        "a word",
        "b.csv: 20,000 events, 1,250/s",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal() -> None:
    stream = _Terminal()
    now = 0.0
    with shown_progress(title="a.csv", unit="events", stream=stream, clock=lambda: now) as meter:
        now = 10.0
        meter.update(count=12_345, share=0.5, title="[/b].csv")
        meter.say("a [bold] word")
    text = stream.getvalue()
    assert "a [bold] word" in text
    assert "[/b].csv" in text
    assert "12,345 events, 1,234/s" in text
    assert "50%" in text


def test_a_bar_tells_the_time_that_has_passed_from_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = _Terminal()
    now = 0.0
    with shown_progress(title="a.csv", unit="events", stream=stream, clock=lambda: now) as meter:
        now = 4.0
        meter.update(count=10, share=0.4)
        unknown = stream.getvalue()
        now = 8.0
        meter.update(count=20, share=0.8)
    assert "0:00:00 elapsed" in unknown
    assert "left" not in unknown
    assert "0:00:08 elapsed 0:00:02 left" in _without_colours(stream)


def test_the_time_that_is_left_has_room_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = _Terminal()
    now = 0.0
    with shown_progress(title="Consuming ratings", unit="events", stream=stream, clock=lambda: now) as meter:
        for second in (4, 8):
            now = float(second)
            meter.update(count=50_000 * second, share=second / 10, lag=100_000)
    assert "400,000 events, 50,000/s, lag 100,000 0:00:02 left" in _without_colours(stream)


def test_the_rate_on_a_bar_is_that_of_the_last_few_seconds() -> None:
    stream = _Terminal()
    now = 0.0
    with shown_progress(title="ratings", unit="events", stream=stream, clock=lambda: now) as meter:
        for second in range(1, 61):
            now = float(second)
            meter.update(count=max(0, second - 50) * 1_000, share=0.5, lag=77_000)
    assert "10,000 events, 1,000/s, lag 77,000" in stream.getvalue()


def test_lag_is_told_on_lines_too() -> None:
    now = 0.0
    stream = io.StringIO()
    with shown_progress(title="ratings", unit="events", stream=stream, clock=lambda: now) as meter:
        now = 5.0
        meter.update(count=500, lag=1_500)
    assert stream.getvalue() == "ratings: 500 events, 100/s, lag 1,500\n"


def test_what_is_logged_meanwhile_appears_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        with shown_progress(title="ratings", unit="events", stream=stream) as meter:
            meter.update(count=1, share=0.5)
            assert handler.stream is sys.stderr is not stream
            logging.getLogger().warning("a line of its own")
        assert handler.stream is stream
    finally:
        logging.getLogger().removeHandler(handler)
    before, _, after = stream.getvalue().partition("a line of its own\n")
    assert before.endswith("\x1b[2K")  # the bar is taken away first …
    assert "ratings" in after  # … and drawn again below


@pytest.mark.parametrize("stream_type", [io.StringIO, _Terminal], ids=["no terminal", "terminal"])
def test_quiet_progress_says_nothing(stream_type: type[io.StringIO]) -> None:
    now = 0.0
    stream = stream_type()
    with shown_progress(title="a.csv", unit="events", stream=stream, quiet=True, clock=lambda: now) as meter:
        now = 10.0
        meter.update(count=12_345, share=0.5)
        meter.say("a word")
    assert stream.getvalue() == ""


def _without_colours(stream: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
