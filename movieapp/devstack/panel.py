"""What a person sees once the stack serves: where it is, how to log in, and that a rating came all the way through."""

import json
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.json import JSON
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, kw_only=True)
class Login:
    """The administrator of this run."""

    username: str
    password: str


def show_panel(
    console: Console,
    *,
    web: str,
    details_url: str,
    details: Any,
    login: Login,
    servers: dict[str, str],
    example_call: str,
) -> None:
    """Prints the panel, then a line that says "serving". `example_call` is a command line that asks over gRPC."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("details", _link(details_url))
    table.add_row("admin", _link(f"{web}/admin/"))
    table.add_row(
        "log in as",
        Text.assemble((login.username, "bold"), " / ", (login.password, "bold"), (" (this run)", "dim")),
    )
    table.add_row("health", _link(f"{web}/readyz"))
    for name, address in servers.items():
        table.add_row(name, Text(address))
    answer = JSON(json.dumps(details, ensure_ascii=False)).text
    answer.no_wrap, answer.overflow = False, "fold"
    rule, asked = Rule(style="dim"), Text(f"GET {details_url}", style="dim")
    body = Group(table, rule, asked, answer, rule, Text(example_call, style="dim", overflow="fold"))
    console.print(Panel(body, title="[bold]movieapp[/]", border_style="green", expand=False, padding=(0, 1)))
    console.print(f"[bold green]serving[/] on {web}/  [dim]· Ctrl-C stops everything · logs follow[/]", highlight=False)


def _link(url: str) -> Text:
    return Text(url, style=f"cyan link {url}")
