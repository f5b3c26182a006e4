"""Tables for a terminal of any width: what is least needed is left out first, and said."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH_OF_A_FILE = 250


class Output(Protocol):
    """Where the table goes: a command's standard output."""

    def isatty(self) -> bool:
        """Whether a person looks at it now."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its cells, one a row, and its sum below; the highest `rank` is left out first, 0 never is."""

    title: str
    cells: Sequence[str]
    total: str = ""
    rank: int = 0
    is_text: bool = False


def table_text(columns: Sequence[Column], *, title: str, notes: Sequence[str] = (), output: Output) -> str:
    """The table as it fits, with its title above and the notes below; ends with a line break."""
    width = shutil.get_terminal_size().columns if output.isatty() else _WIDTH_OF_A_FILE
    console = Console(width=width, force_terminal=output.isatty(), highlight=False, emoji=False)
    shown, left_out = list(columns), []
    unbounded = console.options.update(width=10_000)
    while console.measure(_table(shown), options=unbounded).maximum > width and any(column.rank for column in shown):
        worst = max(shown, key=lambda column: column.rank)
        shown.remove(worst)
        left_out.append(worst.title)
    with console.capture() as captured:
        console.print(Text(title, style="bold"))
        console.print(_table(shown))
        for note in notes:
            console.print(Text(note))
        if left_out:
            console.print(Text(f"Left out for want of room: {', '.join(left_out)}.", style="dim"))
    return captured.get()


def _table(columns: Sequence[Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_footer=any(column.total for column in columns), pad_edge=False)
    for column in columns:
        table.add_column(
            column.title, Text(column.total), justify="left" if column.is_text else "right", no_wrap=not column.is_text
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(cell) for cell in cells))
    return table
