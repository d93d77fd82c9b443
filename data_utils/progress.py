"""How a fetch tells what it is doing."""

from collections.abc import Callable
from dataclasses import dataclass


def _silent(*_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Progress:
    """Where a fetch reports to; by default nowhere.

    Attributes:
        message: Called with one plain line of text.
        transferred: Called with the bytes received so far and the bytes expected of the file
            being fetched; 0 expected means that the server did not say. A new file starts at
            a smaller first number.
    """

    message: Callable[[str], None] = _silent
    transferred: Callable[[int, int], None] = _silent


SILENT = Progress()
