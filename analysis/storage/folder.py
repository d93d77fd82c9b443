"""Folders that hold sweeps: named files, written whole and atomically, or appended to."""

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from analysis.storage.appending import Appender, FileAppender


class Folder(ABC):
    """A folder in a storage that every process of the sweep can reach.

    Names are relative and use `/`. A file is there whole or not at all. What goes wrong is
    an OSError. `str` of a folder is for people.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The folder's own name."""

    @property
    @abstractmethod
    def storage(self) -> str:
        """Where the folder lies, as somebody would type it; without credentials."""

    @abstractmethod
    def child(self, name: str) -> "Folder":
        """Returns the folder `name` in this one; it need not exist."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Tells whether there is a file `name`."""

    @abstractmethod
    def folders(self) -> list[str]:
        """Returns the names of the folders in this one, sorted; none if it does not exist."""

    @abstractmethod
    def files(self) -> list[str]:
        """Returns the names of the files in this folder, sorted; none if it does not exist."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Returns the file's bytes.

        Raises:
            FileNotFoundError: If there is none.
        """

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Writes or replaces a file: a reader, or a crash, sees the old or the new bytes."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Deletes a file, if there is one."""

    @abstractmethod
    def lines(self, name: str) -> Iterator[bytes]:
        """Yields the file's lines, line ends included.

        Raises:
            FileNotFoundError: If there is none.
        """

    @abstractmethod
    def append_to(self, name: str, *, torn: int = 0) -> Appender:
        """Returns what appends lines to a file, which is begun if there is none.

        Args:
            name: The file's.
            torn: The number of bytes of a half-written last line, to be taken away.
        """

    def place(self, name: str) -> str:
        """Returns where a file is, for people."""
        return f"{self}/{name}"


@dataclass(frozen=True)
class LocalFolder(Folder):
    """A folder on a file system, this machine's own or one that several machines share."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @property
    def storage(self) -> str:
        """The path of the folder that this one lies in."""
        return str(self.path.parent)

    def child(self, name: str) -> "LocalFolder":
        """Returns the folder `name` in this one; it need not exist."""
        return LocalFolder(self.path / name)

    def exists(self, name: str) -> bool:
        """Tells whether there is a file `name`."""
        return (self.path / name).is_file()

    def folders(self) -> list[str]:
        """Returns the names of the folders in this one, sorted; none if it does not exist."""
        if not self.path.is_dir():
            return []
        return sorted(entry.name for entry in self.path.iterdir() if entry.is_dir())

    def files(self) -> list[str]:
        """Returns the names of the files in this folder, sorted; none if it does not exist."""
        if not self.path.is_dir():
            return []
        return sorted(entry.name for entry in self.path.iterdir() if entry.is_file())

    def read(self, name: str) -> bytes:
        """Returns the file's bytes.

        Raises:
            FileNotFoundError: If there is none.
        """
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Writes or replaces a file: a reader, or a crash, sees the old or the new bytes."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not `mkstemp`, whose files nobody else may read.
        temporary = target.with_name(f".{target.name[:40]}-{secrets.token_hex(8)}.part")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException as error:
            with suppress(OSError):
                temporary.unlink()
            if isinstance(error, OSError) and error.errno is not None:
                error.filename = str(target)  # writing and syncing name no file
            raise

    def delete(self, name: str) -> None:
        """Deletes a file, if there is one."""
        (self.path / name).unlink(missing_ok=True)

    def local_path(self, name: str) -> Path:
        """Returns where the file lies on this machine."""
        return self.path / name

    def lines(self, name: str) -> Iterator[bytes]:
        """Yields the file's lines, line ends included.

        Raises:
            FileNotFoundError: If there is none.
        """
        with (self.path / name).open("rb") as file:
            yield from file

    def append_to(self, name: str, *, torn: int = 0) -> FileAppender:
        """Returns what appends lines to a file, which is begun if there is none."""
        return FileAppender(self.path / name, torn=torn)
