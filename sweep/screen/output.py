"""What commands print. Texts from files are escaped before they reach the terminal."""

import contextlib
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

from analysis.errors import StorageError, describe_cause, is_disk_full
from analysis.formatting import WIDEST, printable
from analysis.records.files import LEDGER_FILE, is_record
from sweep.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST = 2000  # characters of a line
_TO_COPY = re.compile(r"(?<=: )sweep .*|`[^`\n]*`")


def escape(text: str) -> str:
    """Return a text with the control characters in its lines escaped."""
    return "\n".join(printable(line, _LONGEST) for line in text.split("\n"))


def wrap(text: str, width: int) -> str:
    """Wrap a text between words; what the user copies, such as a command, stays in one piece."""
    text = _TO_COPY.sub(lambda found: found[0].replace(" ", "\xa0"), text)
    lines = [
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    ]
    return "\n".join(lines).replace("\xa0", " ")


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a message, by default on standard error; a terminal breaks no word of it."""
    stream, text = stream or sys.stderr, escape(text)
    if size := _terminal_size(stream):
        text = wrap(text, size.columns)
    print(text, file=stream, flush=True)


def print_json(document: Any) -> None:
    """Print a JSON document on standard output."""
    print(json.dumps(document, indent=2, allow_nan=False))


def write_file(path: Path, contents: bytes) -> None:
    """Write a file of the user's choice, but over none of a sweep's records.

    StorageError on a full disk, else UsageError.
    """
    try:
        if (path.parent / LEDGER_FILE).exists() and is_record(path.name):
            raise UsageError(f"{path} is a file of the sweep; choose another name")
        path.write_bytes(contents)
    except OSError as error:
        if is_disk_full(error):
            raise StorageError(error.errno, error.strerror, str(path)) from error
        raise UsageError(f"cannot write {path}: {describe_cause(error)}") from error


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
    if size := _terminal_size(console.file):
        console.size = size


def _terminal_size(stream: IO[str]) -> os.terminal_size | None:
    with contextlib.suppress(OSError, ValueError):
        size = os.get_terminal_size(stream.fileno())
        return size if all(size) else None
    return None


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
