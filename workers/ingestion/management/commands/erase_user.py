"""`manage.py erase_user`: remove everything that is stored about one person."""

from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from movieapp.database_errors import database_errors_told
from ratings.errors import InvalidRating
from ratings.events import checked_id
from workers.ingestion.erasure import PersonalData, erase_user, unclear_in_words
from workers.ingestion.errors import UnknownUser
from workers.ingestion.management.asking import is_confirmed_on_terminal

_LIMIT = (
    "Events of this person that are still in Kafka bring them back when they are read (again): they are gone once\n"
    "they are older than the topic's retention, or when you delete them with Kafka's kafka-delete-records."
)


class Command(BaseCommand):
    help = (
        "Remove one person: their ratings, the traces of deleted ones, their ids, and the dead letters\n"
        "that name them. Averages follow at once. All of it is one transaction: everything is removed or\n"
        "nothing. Consumers may go on running; writers wait while it runs, also for a person with very many\n"
        "ratings."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = f"{_LIMIT}\n\nexit codes: 0 removed, 1 nothing was removed, 2 wrong options, 130 stopped"
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user_id", type=_user, metavar="USER_ID", help="the userId in the rating events")
        providers = parser.add_mutually_exclusive_group(required=True)
        providers.add_argument(
            "--provider", type=_provider, metavar="ID", help='the person as this provider knows them ("": no provider)'
        )
        providers.add_argument("--all-providers", action="store_true", help="whoever supplied the ratings")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, user_id: str, provider: str | None, yes: bool, **options: Any) -> None:
        def confirm(found: PersonalData) -> bool:
            return self._confirmed(user_id, found, yes=yes)

        try:
            with database_errors_told():
                removed = erase_user(user_id=user_id, provider_id=provider, confirm=confirm)
        except UnknownUser as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped by Ctrl-C: nothing was removed, unless it came at the very end. All of it is one transaction; "
                "run it again to see.",
                returncode=130,
            ) from None
        if removed is None:
            raise CommandError("Nothing was removed: not confirmed.")
        self.stdout.write(f"Removed: {_summary(removed)}.")
        self.stdout.write(_LIMIT)

    def _confirmed(self, user_id: str, found: PersonalData, *, yes: bool) -> bool:
        self.stdout.write(f"Stored about user {user_id!r}:")
        for rater in found.raters:
            name = f"provider {rater.provider_id!r}" if rater.provider_id else "no provider"
            traces = f"{rater.tombstones} trace{_s(rater.tombstones)} of deleted ratings"
            self.stdout.write(f"  {name}: {rater.ratings} rating{_s(rater.ratings)}, {traces}")
        self.stdout.write(f"  {found.dead_letters} dead letter{_s(found.dead_letters)}")
        if found.unclear_letters:
            self.stdout.write(f"  Not removed: {unclear_in_words(found.unclear_letters)}")
        if yes:
            return True
        question = "Remove all of this? It cannot be undone."
        return is_confirmed_on_terminal(self.stdout, question, undone="Nothing was removed")


def _summary(removed: PersonalData) -> str:
    ratings = sum(rater.ratings for rater in removed.raters)
    tombstones = sum(rater.tombstones for rater in removed.raters)
    ids = len(removed.raters)
    return (
        f"{ratings} rating{_s(ratings)}, {tombstones} trace{_s(tombstones)} of deleted ratings, {ids} id{_s(ids)}, "
        f"{removed.dead_letters} dead letter{_s(removed.dead_letters)}"
    )


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _user(text: str) -> str:
    return _id(text, field="user id", empty_allowed=False)


def _provider(text: str) -> str:
    return _id(text, field="provider", empty_allowed=True)


def _id(text: str, *, field: str, empty_allowed: bool) -> str:
    try:
        return checked_id(text, field=field, empty_allowed=empty_allowed)
    except InvalidRating as error:
        raise ArgumentTypeError(str(error)) from None
