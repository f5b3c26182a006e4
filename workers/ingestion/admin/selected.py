"""Replays or discards what is ticked in the list, or all that matches: asked first, some seconds of work a request."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from workers.ingestion.dead_letters.selectors import latest_id, letter_chunks
from workers.ingestion.dead_letters.settling import Outcome, Settled
from workers.ingestion.errors import IngestionError
from workers.ingestion.models import DeadLetter

log = structlog.get_logger(__name__)

_SECONDS_A_REQUEST = 10.0
_SHOWN_FAILURES = 5
_LOGGED = (Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.DISCARDED)


def settle_selected(
    model_admin: "admin.ModelAdmin[DeadLetter]",
    request: HttpRequest,
    letters: QuerySet[DeadLetter],
    *,
    verb: str,
    settle: Callable[[Sequence[int]], Sequence[Settled]],
) -> HttpResponse | None:
    """The page that asks; once it is answered the work itself, and None when nothing is left to do.

    What came in after the question is left alone. After some seconds the page asks whether to go on, so that no
    request takes long however many match.
    """
    confirmed = _number(request.POST.get("up_to"))
    if confirmed is None:
        return _question(model_admin, request, letters, verb=verb, up_to=latest_id(letters))
    tally = _Tally()
    up_to, deadline = confirmed, time.monotonic() + _SECONDS_A_REQUEST
    try:
        for ids in letter_chunks(letters, up_to=up_to):
            in_hand = DeadLetter.objects.only("topic", "partition", "offset").in_bulk(ids)
            settled = settle(ids)
            _log_who(request, in_hand, settled)
            tally.add(in_hand, settled)
            up_to = ids[-1] - 1
            if time.monotonic() > deadline:
                break
    except IngestionError as error:
        messages.error(request, f"{error}. What is not done yet is as it was.")
        return None
    finally:
        _tell(request, verb, tally)
    if letters.filter(pk__lte=up_to).exists():
        return _question(model_admin, request, letters, verb=verb, up_to=up_to)
    return None


@dataclass(slots=True)
class _Tally:
    """How many letters came to which end, and the first failures in words."""

    counts: Counter[Outcome] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, letters: Mapping[int, DeadLetter], settled: Sequence[Settled]) -> None:
        self.counts.update(one.outcome for one in settled)
        failed = [one for one in settled if one.outcome is Outcome.FAILED][: _SHOWN_FAILURES - len(self.failures)]
        self.failures += [letter_words(letters[one.letter_id], one) for one in failed]


def _log_who(request: HttpRequest, letters: Mapping[int, DeadLetter], settled: Sequence[Settled]) -> None:
    """Enters who settled which into the log of the admin: a letter a row, as the page about one does."""
    user_id = request.user.pk
    assert user_id is not None  # the admin lets nobody in who has not logged in
    for outcome in _LOGGED:
        done = [letters[one.letter_id] for one in settled if one.outcome is outcome and one.letter_id in letters]
        if done:
            LogEntry.objects.log_actions(user_id, done, CHANGE, change_message=str(outcome))


def letter_words(letter: DeadLetter, settled: Settled) -> str:
    """What became of which letter. Begins with a word, as Django makes a message's first character a capital."""
    return f"Letter {settled.letter_id}, {letter}: {outcome_words(settled)}"


def outcome_words(settled: Settled) -> str:
    """What became of one letter, as a sentence."""
    match settled.outcome:
        case Outcome.APPLIED:
            return "The rating was applied at the time that the message had."
        case Outcome.SUPERSEDED:
            return "Nothing was applied: a write of this rating that is not older stands. The letter is done with."
        case Outcome.DISCARDED:
            return "The letter was discarded."
        case Outcome.GONE:
            return "Somebody else has replayed or discarded the letter meanwhile."
    return f"It failed: {settled.field}: {settled.reason}" if settled.field else f"It failed: {settled.reason}"


def _question(
    model_admin: "admin.ModelAdmin[DeadLetter]",
    request: HttpRequest,
    letters: QuerySet[DeadLetter],
    *,
    verb: str,
    up_to: int,
) -> HttpResponse:
    is_across = request.POST.get("select_across") == "1"
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "title": f"{verb.capitalize()} dead letters",
        "verb": verb,
        "count": letters.order_by().filter(pk__lte=up_to).count(),
        "up_to": up_to,
        "select_across": int(is_across),
        "checkbox": ACTION_CHECKBOX_NAME,
        # Django acts only where something is ticked, also where that is not what counts.
        "ticked": ["0"] if is_across else request.POST.getlist(ACTION_CHECKBOX_NAME),
        "goes_on": "up_to" in request.POST,
    }
    return TemplateResponse(request, "admin/ingestion/deadletter/settle_selected.html", context)


def _tell(request: HttpRequest, verb: str, tally: _Tally) -> None:
    counts = tally.counts
    if not counts:
        return
    log.info("dead_letters_settled", verb=verb, user=request.user.pk, **{str(key): n for key, n in counts.items()})
    words = ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in Outcome if counts[outcome])
    level = messages.WARNING if tally.failures else messages.SUCCESS
    messages.add_message(request, level, " ".join([f"{verb.capitalize()}: {words}.", *tally.failures]))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
