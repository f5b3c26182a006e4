"""How far a command is, on a terminal, elsewhere, and where nobody wants to know."""

import io

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


@pytest.mark.parametrize("stream_type", [io.StringIO, _Terminal], ids=["no terminal", "terminal"])
def test_quiet_progress_says_nothing(stream_type: type[io.StringIO]) -> None:
    now = 0.0
    stream = stream_type()
    with shown_progress(title="a.csv", unit="events", stream=stream, quiet=True, clock=lambda: now) as meter:
        now = 10.0
        meter.update(count=12_345, share=0.5)
        meter.say("a word")
    assert stream.getvalue() == ""
