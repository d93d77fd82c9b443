"""What commands print. Texts from files are escaped before they reach the terminal."""

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

from analysis.formatting import WIDEST, printable

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST = 2000  # characters of a line


def escape(text: str) -> str:
    """Return a text with the control characters in its lines escaped."""
    return "\n".join(printable(line, _LONGEST) for line in text.split("\n"))


def say(text: str) -> None:
    """Print something that is not the result, on standard error."""
    print(escape(text), file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Print a JSON document on standard output."""
    print(json.dumps(document, indent=2, allow_nan=False))


def open_console(stream: TextIO | None = None) -> "Console":
    """Return a console that takes every text literally; only a terminal limits its width."""
    from rich.console import Console

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDEST
    return console
