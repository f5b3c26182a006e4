"""What the tests of `manage.py ingest_file` send, and how they read what it says."""

import json
import re
import shlex
from collections import Counter
from pathlib import Path

from ratings.events import decode_event
from tests.fixtures.stored import stored_messages


def sent_event(number: int, **changes: object) -> dict[str, object]:
    event = {
        "recordId": str(number % 97),
        "recordType": "movie",
        "userId": str(number),
        "ratingValue": number % 101 / 10,
        "eventType": "put",
    }
    return {**event, **changes}


def write_ndjson(path: Path, count: int) -> Path:
    path.write_text("".join(f"{json.dumps(sent_event(number))}\n" for number in range(1, count + 1)))
    return path


def summary_counts(output: str) -> dict[str, int]:
    """The summary's numbers by their words."""
    found = re.findall(r"^(\w[\w-]*) +([\d,]+)(?=$|  )", output, flags=re.MULTILINE)
    return {word: int(number.replace(",", "")) for word, number in found}


def stored_users(servers: str, topic: str) -> Counter[str]:
    return Counter(decode_event(value).user_id for value in stored_messages(servers, topic))


def stored_count(servers: str, topic: str) -> int:
    return sum(1 for _ in stored_messages(servers, topic))


def way_on(output: str, *changes: str) -> list[str]:
    """The arguments of the command that the output says to go on with; `changes` come last and so win."""
    command = re.search(r"^To go on.*?: .*?manage\.py (.*)$", output, flags=re.MULTILINE)
    assert command is not None, output
    words = shlex.split(command[1])
    return [words[0], *words[1 : words.index("--")], *changes, *words[words.index("--") :]]
