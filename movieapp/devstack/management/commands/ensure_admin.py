"""`manage.py ensure_admin`: a superuser with a known password, for the login that `make run` shows."""

import os
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from movieapp.database_errors import database_errors_told

PASSWORD_VARIABLE = "DJANGO_SUPERUSER_PASSWORD"  # noqa: S105 - the name of a variable


class Command(BaseCommand):
    help = (
        f"Make the superuser with this name, or give the existing one the password in {PASSWORD_VARIABLE} and make it "
        "an active superuser. May be run again at any time."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", required=True, help="the superuser's name")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        password = os.environ.get(PASSWORD_VARIABLE, "")
        if not password:
            raise CommandError(f"Set the environment variable {PASSWORD_VARIABLE}: the password to give to {username}.")
        with database_errors_told():
            created = ensure_superuser(username=username, password=password)
        self.stdout.write(f"{username}: {'made' if created else 'password set'}")


def ensure_superuser(*, username: str, password: str) -> bool:
    """True when the superuser was made, False when a user of that name was updated, which ends its sessions."""
    user, created = User.objects.get_or_create(username=username)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return created
