"""Journals: files of JSON lines to which records are only ever appended.

Each line is one record with its kind and its time. A crash can damage the line that was written
last: it is cut, or contains zeros or garbage. What is damaged at the end of the file is ignored,
and the next writer removes it. A damaged line that records follow is an error.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

import msgspec

from analysis.errors import LedgerError
from analysis.storage.folder import Folder

FORMAT = 1


class JournalRecord(
    msgspec.Struct, frozen=True, tag_field="kind", tag="", forbid_unknown_fields=True
):
    """One line of a journal. `time` is in seconds since 1970 (UTC)."""

    time: Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class FirstRecord(JournalRecord, frozen=True):
    """The first line of a journal, which belongs to the sweep `name`."""

    format: int
    name: str

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise LedgerError(
                f"is of format {self.format}, but this program reads format {FORMAT}; "
                "use the version of the program that wrote it"
            )


class DamagedError(LedgerError):
    """A line is not JSON, as after a crash."""


class Journal(ABC):
    """The contents of a journal: the sum of its records. It is made from the first of them.

    `truncated_bytes` is the size of the damaged end of the file, which was ignored.
    """

    file: ClassVar[str]
    first: ClassVar[type[FirstRecord]]
    decoder: ClassVar[msgspec.json.Decoder[Any]]
    sent_at_once: ClassVar[tuple[type[JournalRecord], ...]]
    """The kinds of record that an object store gets at once."""
    remedy: ClassVar[str]
    """What a user can do about a damaged line, whose number is filled in."""

    truncated_bytes: int = 0

    @abstractmethod
    def __init__(self, first: Any) -> None: ...

    @abstractmethod
    def check(self, record: Any) -> None:
        """Raise LedgerError for a record that contradicts those before it."""

    @abstractmethod
    def add(self, record: Any) -> None:
        """Add a record that has been checked."""

    def apply(self, record: Any) -> None:
        """Check and add a record; LedgerError if it contradicts those before it."""
        self.check(record)
        self.add(record)

    @classmethod
    def read(cls, folder: Folder) -> Self | None:
        """Read the journal in `folder`; None without a complete record, LedgerError if damaged."""
        try:
            return cls.parse(folder.read(cls.file), folder.display_path(cls.file))
        except FileNotFoundError:
            return None

    @classmethod
    def parse(cls, data: bytes, path: str) -> Self | None:
        """Return the journal with the given contents; see `read`."""
        *lines, _ = data.split(b"\n")
        while len(lines) > 1 and cls._is_damaged(lines[-1]):
            lines.pop()
        if not lines or (len(lines) == 1 and lines[0].startswith(b"\0")):
            return None  # a power failure can lose the first page of the first record
        number = 1
        try:
            first = cls._decode(lines[0])
            if not isinstance(first, cls.first):
                raise LedgerError("comes before the record that begins the file")
            journal = cls(first)
            for number, line in enumerate(lines[1:], start=2):  # noqa: B007
                journal.apply(cls._decode(line))
        except LedgerError as error:
            is_lost = number > 1 and isinstance(error, DamagedError)
            remedy = (
                f"; to continue without that line, {cls.remedy.format(number)}" if is_lost else ""
            )
            raise LedgerError(f"{path}:{number} {error}{remedy}") from error
        journal.truncated_bytes = len(data) - sum(map(len, lines)) - len(lines)
        return journal

    @classmethod
    def _is_damaged(cls, line: bytes) -> bool:
        try:
            cls._decode(line)
        except LedgerError as error:
            return isinstance(error, DamagedError)
        return False

    @classmethod
    def _decode(cls, line: bytes) -> Any:
        start = line[:240].decode("utf-8", "replace").strip()
        shown = start if len(start) <= 60 else start[:57] + "..."
        try:
            if b"\\ud" in line:
                # Version 0.1.0 escaped names that are not UTF-8, which msgspec refuses.
                text = json.dumps(json.loads(line), ensure_ascii=False)
                line = text.encode("utf-8", "replace")
            return cls.decoder.decode(line)
        except (msgspec.ValidationError, RecursionError) as error:
            raise LedgerError(f"is not a record ({shown!r}): {error}") from error
        except ValueError as error:
            raise DamagedError(f"is not a record ({shown!r})") from error


J = TypeVar("J", bound=Journal)


def encode_record(record: JournalRecord) -> bytes:
    """Return a record as one line, line end included; ValueError for a number not finite."""
    # Not `msgspec.json.encode`, which writes NaN as null, and refuses names that are not UTF-8.
    text = json.dumps(msgspec.to_builtins(record), allow_nan=False, ensure_ascii=False)
    return text.encode("utf-8", "replace") + b"\n"


class JournalWriter(Generic[J]):
    """Continues a journal as read from `folder`; at its end, a `with` block waits for the storage.

    On a file system each record is on the disk when `append` returns; an object store has it
    20 s later at most. The writer keeps `journal`, the sum of all records, up to date.
    """

    kind: ClassVar[type[Any]]

    def __init__(self, folder: Folder, first: FirstRecord, *, move_to: str | None = None) -> None:
        """Continue the journal in `folder`, or begin one with its first record.

        A file without a complete record is replaced. With `move_to` any file is, once its
        contents are in the file of that name.
        """
        file = self.kind.file
        self._appender = folder.append_to(file)
        try:
            contents = self._appender.contents
            if move_to is not None:
                folder.write(move_to, contents)
                contents = b""
            journal = self.kind.parse(contents, folder.display_path(file))
            if journal is None:
                self._appender.truncate(0)
                journal = self.kind(first)
                self._appender.write_line(encode_record(first), at_once=True)
            elif journal.truncated_bytes:
                self._appender.truncate(len(contents) - journal.truncated_bytes)
                journal.truncated_bytes = 0
        except BaseException:
            self._appender.close()
            raise
        self.journal: J = journal

    def append(self, record: JournalRecord) -> None:
        """Write one record.

        Raises:
            LedgerError: It contradicts those before it; nothing is written.
            StorageError: The storage does not accept it; the records before are unharmed.
        """
        self.journal.check(record)
        at_once = isinstance(record, self.journal.sent_at_once)
        self._appender.write_line(encode_record(record), at_once=at_once)
        self.journal.add(record)

    def delete_when_safe(self, names: Iterable[str]) -> None:
        """Delete files of the folder once the storage has all records so far."""
        self._appender.delete_when_safe(names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._appender.close()
