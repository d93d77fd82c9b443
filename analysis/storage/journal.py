"""Files of JSON lines that are only ever appended to, whole line by whole line.

A line without its line end can only be the last: the writer was cut off while it wrote.
Such a line never counts, and the next writer takes it away.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Self, TypeVar

from analysis.errors import LedgerError
from analysis.storage.codec import Codec, Kind
from analysis.storage.folder import Folder

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
            raise LedgerError(f"{folder.place(name)}:{number + 1} {error}") from error
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


class RecordWriter:
    """Appends records, as lines, to a file in `folder`; a `with` block closes it.

    Args:
        folder: A sweep's.
        name: The file's.
        torn: The number of bytes of a half-written last line, to be taken away.
    """

    def __init__(self, folder: Folder, name: str, *, torn: int = 0) -> None:
        self._appender = folder.append_to(name, torn=torn)

    def write_line(self, line: bytes, *, flush: bool = False) -> None:
        """Writes one record's line; with `flush` it does not wait for others on its way.

        Raises:
            OSError: If the storage does not take it; what was there before stays whole.
        """
        self._appender.write_line(line)
        if flush:
            self._appender.flush()

    def close(self) -> None:
        """Ends the writing."""
        self._appender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
