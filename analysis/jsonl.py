"""Files of JSON lines that are only ever appended to, whole line by whole line.

A line without its line end can only be the last: the writer was cut off while it wrote.
Such a line never counts, and the next writer takes it away.
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from analysis.codec import Codec, Kind
from analysis.errors import LedgerError
from analysis.folder import Folder

# Large enough to decode fast, small enough to cost no memory.
_CHUNK = 256

R = TypeVar("R", bound=Kind)


def read_records(folder: Folder, name: str, codec: Codec[R], take: Callable[[R], None]) -> int:
    """Gives the record of every whole line of a file to `take`.

    Returns:
        The number of bytes of the half-written last line, which was left out.

    Raises:
        FileNotFoundError: If there is no such file.
        LedgerError: If a line is damaged, or `take` says so; the message names the line.
    """
    lines = folder.lines(name)
    number, torn = 0, 0
    with _uncollected():
        try:
            while chunk := list(islice(lines, _CHUNK)):
                if not chunk[-1].endswith(b"\n"):
                    torn = len(chunk.pop())
                for record in codec.parse_lines(chunk):
                    take(record)
                    number += 1
        except LedgerError as error:
            raise LedgerError(f"{folder.local_path(name)}:{number + 1} {error}") from error
    return torn


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pauses the search for garbage: records form no cycles, and it takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class LineWriter:
    """Appends lines to a file; each is on the disk when `write_line` returns.

    Args:
        path: The file; it is begun, with its folders, if there is none.
        torn: The number of bytes of a half-written last line, to be taken away.
    """

    def __init__(self, path: Path, *, torn: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        self._file = path.open("ab", buffering=0)
        self._cut: int | None = None
        if torn:
            self._file.truncate(path.stat().st_size - torn)
        if new:
            _sync_folder(path.parent)

    def write_line(self, line: bytes) -> None:
        """Writes one whole line.

        Raises:
            OSError: If the disk does not take it; what was there before stays whole.
        """
        if self._cut is not None:
            self._file.truncate(self._cut)
            self._cut = None
        end = self._file.seek(0, os.SEEK_END)
        try:
            written = self._file.write(line)
            if written != len(line):
                raise OSError(f"the disk took {written} of {len(line)} bytes; is it full?")
            os.fsync(self._file.fileno())
        except OSError:
            # Should even this fail, the next line waits until it succeeds.
            self._cut = end
            with suppress(OSError):
                self._file.truncate(end)
                self._cut = None
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _sync_folder(path: Path) -> None:
    """Makes the new file's name as durable as its bytes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
