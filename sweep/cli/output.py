"""What commands print. Texts from files are escaped before they reach the terminal."""

import json
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TextIO

from analysis.formatting import WIDEST, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_LONGEST = 2000  # characters of a line


def escape(text: str) -> str:
    """Return a text with the control characters in its lines escaped."""
    return "\n".join(printable(line, _LONGEST) for line in text.split("\n"))


def say(text: str) -> None:
    """Print a message on standard error."""
    print(escape(text), file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Print a JSON document on standard output."""
    print(json.dumps(document, indent=2, allow_nan=False))


def open_console(stream: TextIO | None = None) -> "Console":
    """Return a console that takes every text literally; only a terminal limits its width."""
    from rich.console import Console

    # A notebook gets plain lines, too.
    console = Console(file=stream, highlight=False, markup=False, emoji=False, force_jupyter=False)
    if not console.is_terminal:
        console.width = WIDEST
    return console


def new_table(*headings: str, left: Collection[str]) -> "Table":
    """Return a table without rows, whose columns are aligned right, except for those in `left`."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right")
    return table


def print_table(table: "Table") -> None:
    """Print a table; on a narrow terminal with short headings, and without the column `time`."""
    console = open_console()
    width, console.width = console.width, WIDEST
    if console.measure(table).maximum > width:
        table.padding = (0, 1, 0, 0)
        for column in table.columns:
            column.header, column.vertical = str(column.header).replace("_", "\n"), "bottom"
        if console.measure(table).maximum > width:
            table.columns = [column for column in table.columns if column.header != "time"]
    console.print(table)
