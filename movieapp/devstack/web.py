"""The web process of the stack: how to start it, and what to ask it."""

import json
import socket
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from movieapp.devstack.child import Command
from movieapp.devstack.errors import DevstackError
from movieapp.devstack.layout import PROJECT_ROOT, StateFolder
from movieapp.devstack.ports import LOOPBACK

READY_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Web:
    """gunicorn on a socket that we bound: a restart loses neither the port nor the connections that wait on it."""

    listener: socket.socket
    state: StateFolder
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://{LOOPBACK}:{self.listener.getsockname()[1]}"

    def prepare(self) -> Command:
        """What to start."""
        descriptor = self.listener.fileno()
        return Command(
            name="web",
            argv=[
                *(sys.executable, "-m", "gunicorn", "movieapp.wsgi"),
                *(
                    "--bind",
                    f"fd://{descriptor}",
                    "--worker-class",
                    "gthread",
                    "--workers",
                    "1",
                    "--threads",
                    "8",
                ),
                *("--log-level", "warning", "--no-control-socket", "--graceful-timeout", "5"),
            ],
            log=self.state.logs / "web.log",
            env=self.environment,
            cwd=PROJECT_ROOT,
            pass_fds=(descriptor,),
        )

    def is_ready(self) -> bool:
        """Whether /readyz answers 200."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:  # noqa: S310 - our own URL
                return bool(answer.status == 200)
        except OSError:
            return False

    def details(self, movie_id: str) -> tuple[str, Any]:
        """The details' URL and JSON. Raises DevstackError when the answer is not 200 with JSON."""
        url = f"{self.url}/api/v1/movies/{movie_id}/details/"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own URL
                return url, json.load(answer)
        except (OSError, ValueError) as error:
            raise DevstackError(f"GET {url} failed: {error}. The log is {self.state.logs / 'web.log'}.") from error
