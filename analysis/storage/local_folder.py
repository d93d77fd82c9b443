"""Folders on a file system, of this machine or shared by several.

All changes are made with functions of `os`, one per step that the disk takes, so that a test
can record the steps and enumerate the states after a crash.
"""

import errno
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from typing_extensions import override

from analysis.errors import InUseError, StorageError
from analysis.storage.folder import LOCK_FILE, UNFINISHED, Folder, gone_error

_STALE_PART_S = 3600.0  # a report may be written without the lock
# `is_locked` takes the lock for an instant, which must not stop a driver from starting.
_RETRY_S = 1.0
_RETRY_EVERY_S = 0.02


def describe_owner() -> dict[str, str | int]:
    """Return what a lock says about this process: a different token for each lock."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}


def name_owner(lock: bytes) -> str:
    """Return the process that a lock names."""
    try:
        owner = json.loads(lock)
        return f"process {owner['pid']} on {owner['host']}"
    except (ValueError, KeyError, TypeError):
        return "an unknown process"


def in_use_error(folder: str, lock: bytes) -> InUseError:
    """Return the error for a folder that another process has locked."""
    return InUseError(
        f"another process is working on {folder}: {name_owner(lock)}; wait for it to end"
    )


@dataclass(frozen=True)
class LocalFolder(Folder):
    """A folder on a file system."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    @override
    def storage(self) -> str:
        return str(self.path.parent)

    @override
    @contextmanager
    def lock(self) -> Iterator[Self]:
        """Lock the folder; the operating system releases the lock when the process ends."""
        with self._errors_of(LOCK_FILE, may_lack=False):
            _make_directory(self.path)
            file = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with self._errors_of(LOCK_FILE, may_lack=False):
                end = time.monotonic() + _RETRY_S
                while not _try_lock(file, fcntl.LOCK_EX):
                    if time.monotonic() > end:
                        raise in_use_error(str(self), self.read(LOCK_FILE))
                    time.sleep(_RETRY_EVERY_S)
                if not os.fstat(file).st_nlink:
                    raise InUseError(f"{self} has just been deleted; run the command again")
                with suppress(OSError):  # on a full disk it is held, too, but does not say by whom
                    os.ftruncate(file, 0)
                    os.write(file, json.dumps(describe_owner()).encode())
            self._delete_parts()
            yield self
        finally:
            os.close(file)

    @override
    def is_locked(self) -> bool:
        try:
            with self._errors_of(LOCK_FILE), (self.path / LOCK_FILE).open("rb") as file:
                return not _try_lock(file.fileno(), fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    @override
    def is_link(self, name: str) -> bool:
        return (self.path / name).is_symlink()

    @override
    def remove_if_empty(self) -> None:
        with suppress(FileNotFoundError), self._errors_of(""):
            if set(os.listdir(self.path)) <= {LOCK_FILE}:
                with suppress(FileNotFoundError):
                    os.unlink(self.path / LOCK_FILE)
                os.rmdir(self.path)

    def _delete_parts(self) -> None:
        """Delete the files that a killed process did not finish writing."""
        for path in (*self.path.glob(UNFINISHED), *self.path.glob(f"*/{UNFINISHED}")):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_PART_S:
                    os.unlink(path)

    def _exists(self, name: str) -> bool:
        return (self.path / name).is_file()

    def _entries(self, *, folders: bool) -> list[str]:
        if not self.path.is_dir():
            return []
        return [e.name for e in self.path.iterdir() if (e.is_dir() if folders else e.is_file())]

    def _read(self, name: str) -> tuple[bytes, None]:
        return (self.path / name).read_bytes(), None

    def _read_first_line(self, name: str) -> bytes:
        with (self.path / name).open("rb") as file:
            return file.readline()

    def _write(self, name: str, data: bytes) -> None:
        target = self.path / name
        _make_directory(target.parent)
        # Not `mkstemp`, whose files nobody else may read.
        temporary = target.with_name(f".{target.name[:40]}-{secrets.token_hex(8)}.part")
        try:
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(file, rest) :]
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(temporary, target)
            _sync_directory(target.parent)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _replace(self, name: str, data: bytes, version: None) -> None:
        self._write(name, data)

    def _delete(self, name: str) -> None:
        os.unlink(self.path / name)

    def _append_to(self, name: str) -> "FileAppender":
        return FileAppender(self, name)


class FileAppender:
    """Appends lines to a file; each is on the disk when `write_line` returns.

    The file is locked, like the folder: also after somebody has deleted the folder's lock it has
    one writer. Where an NFS server has given both locks to another machine, Linux refuses what
    is written to the file, but not what is written beside it.
    """

    def __init__(self, folder: LocalFolder, name: str) -> None:
        path = folder.path / name
        self._folder, self._name = folder, name
        self._error: StorageError | None = None
        _make_directory(path.parent)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            if not _try_lock(self._file, fcntl.LOCK_EX):
                raise InUseError(f"another process is writing to {path}; wait for it to end")
            os.fsync(self._file)  # a killed process may not have synced its last line
            _sync_directory(path.parent)
            self.contents = path.read_bytes()
        except BaseException:
            os.close(self._file)
            raise

    def truncate(self, n_bytes: int) -> None:
        """Keep only the first bytes of the file."""
        with self._folder._errors_of(self._name):
            os.ftruncate(self._file, n_bytes)
            os.fsync(self._file)

    def write_line(self, line: bytes, *, at_once: bool = False) -> None:
        """Write one line to the disk.

        Nothing is appended after a failure: what a disk holds after a failed sync is unknown.
        """
        if self._error is not None:
            raise self._error
        try:
            with self._folder._errors_of(self._name, may_lack=False):
                self._write(line)
        except StorageError as error:
            self._error = error
            raise

    def delete_when_safe(self, names: Iterable[str]) -> None:
        """Delete files of the folder."""
        for name in names:
            self._folder.delete(name)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        path = self._folder.path / self._name
        if not (path.exists() and os.path.samestat(os.stat(path), os.fstat(self._file))):
            raise gone_error(str(path))
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            written = os.write(self._file, line)
            if written != len(line):
                text = f"the disk took {written} of {len(line)} bytes; is it full?"
                raise OSError(errno.ENOSPC, text)
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):  # a reader ignores an incomplete line
                os.ftruncate(self._file, end)
            raise


def _try_lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_directory(path: Path) -> None:
    """Create a directory and those above it that do not exist, so that a crash keeps them."""
    if path.is_dir():
        _sync_entry(path.absolute())
        return
    _make_directory(path.parent)
    with suppress(FileExistsError):
        os.mkdir(path)
    _sync_directory(path.parent)


@cache
def _sync_entry(path: Path) -> None:
    """Sync, once, the entry of a directory that a killed process may have made, and those above.

    A directory that cannot be read is not one that `_make_directory` has made something in.
    """
    if not path.is_mount():
        with suppress(PermissionError):
            _sync_directory(path.parent)
        _sync_entry(path.parent)


def _sync_directory(path: Path) -> None:
    """Let the disk have the entries of a directory."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
