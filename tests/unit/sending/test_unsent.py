"""How many events were not sent, in words that are true of the file."""

import json
from pathlib import Path

from tests.sent_files import sent_event, write_ndjson
from workers.ingestion.sending.request import IngestRequest
from workers.ingestion.sending.unsent import unsent_in_words


def _words(*paths: str, start_at: int = 1, seconds: float = 60) -> str:
    request = IngestRequest(paths=paths, topic="t", group="g", start_at=start_at)
    return unsent_in_words(request, seconds=seconds, check=lambda: None)


def test_all_events_from_the_start_on_are_counted(tmp_path: Path) -> None:
    path = str(write_ndjson(tmp_path / "a.ndjson", 7))
    assert _words(path, path, start_at=3) == "Not sent: 12 events, which is all of them."


def test_what_is_not_valid_is_not_counted_as_unsent(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text("".join(f"{json.dumps(sent_event(n, ratingValue=n * 2))}\n" for n in range(1, 10)))
    assert _words(str(path)).startswith("Not sent: 5 valid events. 4 more are not valid")


def test_a_file_that_breaks_off_is_counted_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(f"[{json.dumps(sent_event(1))}, {json.dumps(sent_event(2))},")
    words = _words(str(path))
    assert words.startswith("Not sent: 2 valid events and what follows where a file cannot be read (")
    assert "cut off" in words


def test_a_count_that_takes_too_long_says_so(tmp_path: Path) -> None:
    path = str(write_ndjson(tmp_path / "a.ndjson", 7))
    assert _words(path, seconds=-1).startswith("Not sent: all events.")


def test_standard_input_is_not_read() -> None:
    assert "standard input was not read" in _words("-")
