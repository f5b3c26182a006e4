#!/usr/bin/env python
"""Runs Django's management commands; finds a running `make run` of the same clone by itself."""

import os
import sys

from movieapp.devstack.running import join_running_stack


def main() -> None:
    """The environment wins over the running stack, whose addresses only fill in what is not set."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "movieapp.settings")
    join_running_stack(os.environ)
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
