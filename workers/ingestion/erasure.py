"""Removes everything that is stored about one person: ratings, ids, and the dead letters that name them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import BinaryField, Func, IntegerField, Q, QuerySet, Value

from ratings.events import person_named
from ratings.selectors import KnownRater, raters_get
from ratings.services import rater_erase
from workers.ingestion.errors import UnknownUser
from workers.ingestion.models import DeadLetter

logger = structlog.get_logger(__name__)

_SHOWN_LETTERS = 20


@dataclass(frozen=True, kw_only=True)
class PersonalData:
    """What is stored about a user, or was removed.

    `unclear_letters` are the ids of dead letters that hold the text of the user's id and yet name no user whom we could
    compare: not an event at all, or of a provider that cannot be told. They are left for a person to judge.
    """

    raters: tuple[KnownRater, ...]
    dead_letters: int
    unclear_letters: tuple[int, ...]


class _Position(Func):
    """Where one run of bytes first stands in another, from 1 on; 0 when it does not."""

    function = "position"
    arg_joiner = " IN "
    output_field = IntegerField()


def erase_user(
    *, user_id: str, provider_id: str | None, confirm: Callable[[PersonalData], bool]
) -> PersonalData | None:
    """Removes a user as one provider knows them, or as all do (None), in one transaction; what was removed.

    `confirm` sees first what there is; when it says no, nothing happens and the answer is None. Consumers may run:
    they wait while it runs and look the user's ids up anew. Raises UnknownUser when there is nothing to remove.
    """
    found = _found(user_id, provider_id)
    if not found.raters and not found.dead_letters:
        raise UnknownUser(_unknown(user_id, provider_id, found))
    if not confirm(found):
        return None
    with transaction.atomic():
        # The long look first: writers wait from the first erased rater on. The letters go last, locked in the order in
        # which everybody locks them: whoever has one of them by then wants nothing else that is held here.
        named, unclear = _letters(user_id, provider_id)
        raters = tuple(_erased(rater, user_id) for rater in raters_get(user_id=user_id, provider_id=provider_id))
        letters = DeadLetter.objects.filter(pk__in=named)
        _ = list(letters.order_by("pk").select_for_update().values_list("pk"))
        letters.delete()
    removed = PersonalData(raters=raters, dead_letters=len(named), unclear_letters=unclear)
    logger.info(
        "user_erased",
        raters=len(raters),
        ratings=sum(rater.ratings for rater in raters),
        tombstones=sum(rater.tombstones for rater in raters),
        dead_letters=removed.dead_letters,
    )
    return removed


def unclear_in_words(letters: Sequence[int]) -> str:
    """Which dead letters a person has to judge, by their ids, at least one, and how."""
    ids = ", ".join(map(str, letters[:_SHOWN_LETTERS])) + (", …" if len(letters) > _SHOWN_LETTERS else "")
    hold = "dead letter holds" if len(letters) == 1 else "dead letters hold"
    return (
        f"{len(letters):,} {hold} this text, without a user (or provider) to compare: {ids}. "
        "`manage.py dead_letters show ID` shows one, `manage.py dead_letters discard ID` removes it."
    )


def _found(user_id: str, provider_id: str | None) -> PersonalData:
    named, unclear = _letters(user_id, provider_id)
    raters = tuple(raters_get(user_id=user_id, provider_id=provider_id))
    return PersonalData(raters=raters, dead_letters=len(named), unclear_letters=unclear)


def _erased(rater: KnownRater, user_id: str) -> KnownRater:
    erased = rater_erase(provider_id=rater.provider_id, user_id=user_id)
    return KnownRater(rater.provider_id, erased.ratings, erased.tombstones)


def _letters(user_id: str, provider_id: str | None) -> tuple[list[int], tuple[int, ...]]:
    """The dead letters that name this person, and the others that hold the id's text and cannot be told."""
    named: list[int] = []
    unclear: list[int] = []
    for pk, payload in _letters_that_may_name(user_id):
        person = person_named(payload)
        if person is None or (person[0] is None and person[1] == user_id and provider_id is not None):
            if user_id.encode() in payload:
                unclear.append(pk)
        elif person[1] == user_id and provider_id in (None, person[0]):
            named.append(pk)
    return named, tuple(sorted(unclear))


def _letters_that_may_name(user_id: str) -> Iterator[tuple[int, bytes]]:
    """Those with the id's bytes in them, or with an escape that may stand for some of its characters."""
    letters: QuerySet[DeadLetter] = DeadLetter.objects.alias(
        verbatim=_Position(Value(user_id.encode(), output_field=BinaryField()), "value"),
        escaped=_Position(Value(b"\\", output_field=BinaryField()), "value"),
    )
    rows = letters.filter(Q(verbatim__gt=0) | Q(escaped__gt=0)).values_list("pk", "value")
    for pk, value in rows.iterator(chunk_size=500):
        yield pk, bytes(value or b"")


def _unknown(user_id: str, provider_id: str | None, found: PersonalData) -> str:
    asked = "" if provider_id is None else f" {_from(provider_id)}"
    message = f"Nothing is stored about user {user_id!r}{asked}."
    elsewhere = [] if provider_id is None else raters_get(user_id=user_id)
    if elsewhere:
        known = ", ".join(_from(rater.provider_id) for rater in elsewhere)
        message += f" The user is known {known}: name that provider, or give --all-providers."
    if found.unclear_letters:
        message += f" There is more to look at: {unclear_in_words(found.unclear_letters)}"
    return message


def _from(provider_id: str) -> str:
    return f"from provider {provider_id!r}" if provider_id else "without a provider"
