"""`manage.py services`: which instances of our services are registered, and where."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from workers.discovery.listing import ListingOptions, show_services

SERVICES = ("metadata", "ratings", "movie")
"""Our services, by the names under which they register."""


class Command(BaseCommand):
    help = (
        "List the instances of our gRPC services as the registry of the settings (DISCOVERY) knows them: who can be "
        "called, at which address. Exit code: 0, even when nobody is registered; 1 when the registry does not answer."
    )
    # It asks the registry alone: nothing of the database or the URLs has to be checked for that.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--service", choices=SERVICES, help="only this one")
        parser.add_argument(
            "--format",
            choices=["table", "json"],
            default="table",
            help="json is one object on one line, described in docs/howto/discovery.md (default: %(default)s)",
        )
        parser.add_argument("--watch", action="store_true", help="show every change, until Ctrl-C")

    def handle(self, *args: Any, service: str | None, watch: bool, **options: Any) -> None:
        try:
            show_services(
                ListingOptions(service=service, as_json=options["format"] == "json", watch=watch), output=sys.stdout
            )
        except KeyboardInterrupt:
            sys.stdout.write("\n")
