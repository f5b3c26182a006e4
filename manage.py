#!/usr/bin/env python
"""Runs Django's management commands; finds a running `make run` of the same clone by itself."""

import os
import sys

_INTERRUPTED = 130  # 128 + SIGINT, as shells say it
_NOBODY_READS = 141  # 128 + SIGPIPE


def main() -> None:
    """Runs what the command line asks for, and ends without a traceback when Ctrl-C or a closed pipe ends it."""
    try:
        try:
            _execute()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # Python flushes once more at its end, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_NOBODY_READS)


def _execute() -> None:
    """The environment wins over the running stack, whose addresses only fill in what is not set."""
    from movieapp.devstack.running import join_running_stack

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "movieapp.settings")
    join_running_stack(os.environ)
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    if _wants_settings(sys.argv[1:]):
        try:
            # Django would show a traceback, or call the command unknown, where a variable is only missing.
            _ = settings.INSTALLED_APPS
        except ImproperlyConfigured as missing:
            sys.exit(str(missing))
    execute_from_command_line(sys.argv)


def _wants_settings(arguments: list[str]) -> bool:
    """All but the overviews, which Django can print without; it reads settings that an option names by itself."""
    if any(argument.startswith("--settings") for argument in arguments):
        return False
    if arguments[:1] == ["help"]:
        return any(not argument.startswith("-") for argument in arguments[1:])
    return bool(arguments) and arguments[0] not in {"-h", "--help", "version", "--version"}


if __name__ == "__main__":
    main()
