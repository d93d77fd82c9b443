"""Journals: files of JSON lines to which records are only ever appended.

Each line is one record with its kind and its time. Only the last line can lack its line end:
its writer was interrupted. Such a line is ignored, and the next writer removes it.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec

from analysis.errors import LedgerError
from analysis.storage.folder import Folder


class JournalRecord(
    msgspec.Struct, frozen=True, tag_field="kind", tag="", forbid_unknown_fields=True
):
    """One line of a journal. `time` is in seconds since 1970 (UTC)."""

    time: float


R = TypeVar("R", bound=JournalRecord)


class Journal(ABC, Generic[R]):
    """The contents of a journal: the sum of its records.

    Attributes:
        truncated_bytes: Size of the incomplete last line, which was ignored.
    """

    truncated_bytes: int = 0

    @abstractmethod
    def check(self, record: R) -> None:
        """Check that a record may follow those before it.

        Raises:
            LedgerError: It contradicts them.
        """

    @abstractmethod
    def add(self, record: R) -> None:
        """Add a record that has been checked."""

    def apply(self, record: R) -> None:
        """Check and add a record.

        Raises:
            LedgerError: It contradicts those before it.
        """
        self.check(record)
        self.add(record)


J = TypeVar("J", bound=Journal[Any])


def encode_record(record: JournalRecord) -> bytes:
    """Return a record as one line, line end included.

    Raises:
        ValueError: A number is not finite; JSON cannot express it.
    """
    # Not `msgspec.json.encode`, which writes NaN as null, and refuses names that are not UTF-8.
    text = json.dumps(msgspec.to_builtins(record), allow_nan=False, ensure_ascii=False)
    return text.encode("utf-8", "replace") + b"\n"


def decode_record(decoder: msgspec.json.Decoder[R], line: bytes) -> R:
    """Return the record of one line.

    Raises:
        LedgerError: It is not a record of this journal.
    """
    try:
        return decoder.decode(line)
    except (ValueError, RecursionError) as error:
        text = line[:240].decode("utf-8", "replace").strip()
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise LedgerError(f"is not a record ({shown!r})") from error


def read_journal(
    folder: Folder, name: str, decoder: msgspec.json.Decoder[R], begin: Callable[[R], J]
) -> J | None:
    """Read a journal.

    Args:
        folder: Of the sweep.
        name: The file.
        decoder: Of its records.
        begin: Returns the journal that begins with a record, or raises LedgerError.

    Returns:
        The journal; None if the file does not have a complete line.

    Raises:
        FileNotFoundError: There is no such file.
        LedgerError: A line is damaged; the message names the file and the line.
    """
    *lines, incomplete = folder.read(name).split(b"\n")
    journal: J | None = None
    number = 1
    try:
        for number, line in enumerate(lines, start=1):  # noqa: B007
            record = decode_record(decoder, line)
            if journal is None:
                journal = begin(record)
            else:
                journal.check(record)
                journal.add(record)
    except LedgerError as error:
        raise LedgerError(f"{folder.display_path(name)}:{number} {error}") from error
    if journal is not None:
        journal.truncated_bytes = len(incomplete)
    return journal


class JournalWriter(Generic[R, J]):
    """Appends records to a journal in `folder`; a `with` block closes it.

    On a file system each record is on the disk when `append` returns; an object store has it
    20 s later at most. The writer keeps `journal`, the sum of all records, up to date.
    """

    file: ClassVar[str]
    flushed: ClassVar[tuple[type[JournalRecord], ...]] = ()
    """The kinds of record that an object store gets at once."""

    def __init__(self, folder: Folder, journal: J) -> None:
        self._appender = folder.append_to(self.file, truncated_bytes=journal.truncated_bytes)
        journal.truncated_bytes = 0
        self._journal = journal

    @classmethod
    def begin(cls, folder: Folder, journal: J, first: R) -> Self:
        """Begin a journal with its first record, in place of a file without a complete line."""
        folder.delete(cls.file)
        writer = cls(folder, journal)
        writer._write(first, flush=True)
        return writer

    def append(self, record: R) -> None:
        """Write one record.

        Raises:
            LedgerError: It contradicts those before it; nothing is written.
            StorageError: The storage does not accept it; the records before are unharmed.
        """
        self._journal.check(record)
        self._write(record, flush=isinstance(record, self.flushed))
        self._journal.add(record)

    def _write(self, record: R, *, flush: bool) -> None:
        self._appender.write_line(encode_record(record))
        if flush:
            self._appender.flush()

    def close(self) -> None:
        """Wait until the storage has all records."""
        self._appender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
