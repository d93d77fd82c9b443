"""What commands print. Texts from files are escaped before they reach the terminal."""

import contextlib
import json
import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
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
    if console.is_terminal:
        follow_size(console)
    else:
        console.width = WIDEST
    return console


def follow_size(console: "Console") -> None:
    """Give a console the size of its terminal; Rich knows only that of standard input."""
    with contextlib.suppress(OSError, ValueError):
        size = os.get_terminal_size(console.file.fileno())
        if all(size):
            console.size = size


def is_live(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that can draw in place."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


@contextlib.contextmanager
def passing_line(text: str) -> Iterator[None]:
    """Say on standard error what happens in a `with` block; a terminal forgets it at its end."""
    if not is_live(sys.stderr):
        say(text)
        yield
        return
    print(escape(text), end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        erase_line(sys.stderr)


def erase_line(stream: TextIO) -> None:
    """Erase the line that a terminal is on."""
    if is_live(stream):
        print(end="\r\x1b[2K", file=stream, flush=True)


def new_table(*headings: str, left: Collection[str]) -> "Table":
    """Return a table without rows, whose columns are aligned right, except for those in `left`."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right")
    return table


def fit_table(
    console: "Console", table: "Table", width: int, optional: Collection[str] = ("time",)
) -> bool:
    """Make a table fit into a width: with short headings, then without optional columns.

    Returns:
        Whether it fits now.
    """
    widest = console.options.update(width=WIDEST)

    def fits() -> bool:
        return console.measure(table, options=widest).maximum <= width

    if fits():
        return True
    table.padding = (0, 1, 0, 0)
    for column in table.columns:
        column.header = str(column.header).replace("_", "\n").replace(" ", "\n")
        column.vertical = "bottom"
    for name in optional:
        if fits():
            break
        kept = [column for column in table.columns if column.header != name]
        # The last column has no padding, and a column knows itself by its index.
        table.columns = [replace(column, _index=index) for index, column in enumerate(kept)]
    return fits()


def print_table(table: "Table", optional: Collection[str] = ("time",)) -> None:
    """Print a table; on a narrow terminal with short headings, without optional columns."""
    console = open_console()
    fit_table(console, table, console.width, optional)
    console.print(table)
