"""Sweeps in an object store, through pyarrow's file systems: S3, and Google's by the same means.

An object store has no folders, cannot append, and puts an object whole or not at all.
"""

import io
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit, urlunsplit

from pyarrow import ArrowInvalid, NativeFile
from pyarrow.fs import FileSelector, FileSystem, FileType, S3FileSystem

from analysis.errors import StorageError
from analysis.storage.folder import LOCK_FILE, Folder
from analysis.storage.heartbeat import hold_lock, is_beating

SCHEMES = ("s3", "gs")

_REPLACE_EVERY_S = 20.0
_PART_BYTES = 1 << 20
_S3_GIVES_UP = {"connect_timeout": 2.0, "request_timeout": 5.0}  # seconds; three attempts
_GOOGLE_GIVES_UP = "retry_limit_seconds=20"  # pyarrow's own default is 15 minutes


def open_store(uri: str) -> "StoreFolder":
    """Returns the folder that a URI such as `s3://bucket/prefix?endpoint_override=…` names.

    The query is pyarrow's. Credentials come from where the store's clients look for them: the
    environment, the user's configuration, the machine's role.

    Raises:
        ValueError: It is no URI of an object store.
    """
    parts = urlsplit(uri)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError("it must be s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")
    if parts.scheme == "gs" and "retry_limit_seconds" not in parts.query:
        query = "&".join(filter(None, (parts.query, _GOOGLE_GIVES_UP)))
        uri = urlunsplit(parts._replace(query=query))
    try:
        _, path = _connect(uri)
    except ArrowInvalid as error:
        raise ValueError(mask_credentials(str(error).splitlines()[0])) from error
    return StoreFolder(uri, path.strip("/"))


def mask_credentials(text: str) -> str:
    """Return a URI, or a text with one, with its user and password masked.

    A password may contain any character, even a slash that should have been quoted, so
    everything from `://` to the last `@` before the query is masked.
    """
    return re.sub(r"(?<=://)[^\s?]*@", "…@", text)


@cache
def _connect(uri: str) -> tuple[FileSystem, str]:
    filesystem, path = FileSystem.from_uri(uri)
    if isinstance(filesystem, S3FileSystem):
        # A URI cannot say how long to wait, and by itself it would be a minute and a half.
        rebuild, (options,) = filesystem.__reduce__()
        filesystem = rebuild({**options, **_S3_GIVES_UP})
    return filesystem, path


@dataclass(frozen=True)
class StoreFolder(Folder):
    """A folder in an object store.

    Attributes:
        uri: The storage's, which tells how to connect; it may hold credentials.
        path: Of this folder, from the bucket on.
    """

    uri: str
    path: str

    def __str__(self) -> str:
        return f"{urlsplit(self.uri).scheme}://{self.path}"

    def __repr__(self) -> str:
        return f"StoreFolder({str(self)!r})"

    @property
    def name(self) -> str:
        """The last part of the folder's path."""
        return self.path.rpartition("/")[2]

    @property
    def storage(self) -> str:
        """The URI of the storage, without credentials."""
        return mask_credentials(self.uri)

    def child(self, name: str) -> "StoreFolder":
        """Return the folder `name` in this one; it need not exist."""
        return StoreFolder(self.uri, f"{self.path}/{name}")

    def modified(self, name: str) -> float:
        """Return when a file was last written, in seconds since 1970 by the store's clock.

        Raises:
            FileNotFoundError: It does not exist.
        """
        with self._errors_of(name):
            info = self._filesystem.get_file_info(f"{self.path}/{name}")
            if info.type != FileType.File:
                raise FileNotFoundError
            return float(info.mtime.timestamp())

    def lock(self) -> AbstractContextManager[Callable[[], None]]:
        """Lock the folder; the lock is free after 20 s in which nobody has renewed it."""
        return hold_lock(self, LOCK_FILE)

    def is_locked(self) -> bool:
        """Return whether a process has renewed the lock within the last 20 s."""
        return is_beating(self, LOCK_FILE)

    @property
    def _filesystem(self) -> FileSystem:
        return _connect(self.uri)[0]

    def _open(self, name: str) -> NativeFile:
        return self._filesystem.open_input_stream(f"{self.path}/{name}", compression=None)

    def _exists(self, name: str) -> bool:
        info = self._filesystem.get_file_info(f"{self.path}/{name}")
        return bool(info.type == FileType.File)

    def _entries(self, *, folders: bool) -> list[str]:
        selector = FileSelector(self.path, allow_not_found=True)
        kind = FileType.Directory if folders else FileType.File
        entries = self._filesystem.get_file_info(selector)
        return [entry.base_name for entry in entries if entry.type == kind]

    def _read(self, name: str) -> bytes:
        with self._open(name) as stream:
            data: bytes = stream.read()
        return data

    def _read_first_line(self, name: str) -> bytes:
        with self._open(name) as stream:
            return io.BufferedReader(stream, _PART_BYTES).readline()

    def _write(self, name: str, data: bytes) -> None:
        path = f"{self.path}/{name}"
        with self._filesystem.open_output_stream(path, compression=None) as stream:
            stream.write(data)

    def _delete(self, name: str) -> None:
        self._filesystem.delete_file(f"{self.path}/{name}")

    def _append_to(self, name: str, truncated_bytes: int) -> "ObjectAppender":
        return ObjectAppender(self, name, truncated_bytes=truncated_bytes)

    def _reason(self, error: OSError) -> str:
        """Return the store's own words, without the sentence that pyarrow puts before them."""
        text = mask_credentials(str(error).splitlines()[0])
        found = re.search(r"AWS Error (.*?)(; Details|$)", text)
        return f"the object store says {found[1]}" if found else text


class ObjectAppender:
    """Appends lines to an object by replacing it whole, in a thread of its own.

    That happens 20 s after the last time, or at once after a `flush`, so that a driver whose
    machine is lost loses no more than the lines of about that time.

    Args:
        folder: Where the object is.
        name: Its name there.
        truncated_bytes: The number of bytes of a half-written last line, to be taken away.
    """

    def __init__(self, folder: StoreFolder, name: str, *, truncated_bytes: int = 0) -> None:
        self._folder, self._name = folder, name
        data = folder.read(name) if folder.exists(name) else b""
        self._data = bytearray(data[: len(data) - truncated_bytes])
        self._is_behind = truncated_bytes > 0
        self._error: StorageError | None = None
        self._wake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._replace_regularly, daemon=True)
        self._thread.start()

    def write_line(self, line: bytes) -> None:
        """Takes one whole line.

        Raises:
            StorageError: The store did not take what came before.
        """
        if self._error is not None:
            raise self._error
        self._data += line
        self._is_behind = True

    def flush(self) -> None:
        """Has the object replaced now, without waiting for it."""
        self._wake.set()

    def close(self) -> None:
        """Ends the writing when the store has all of it.

        Raises:
            StorageError: The store does not take it.
        """
        self._is_closed = True
        self._wake.set()
        self._thread.join()
        self._replace()

    def _replace_regularly(self) -> None:
        while not self._is_closed:
            self._wake.wait(_REPLACE_EVERY_S)
            self._wake.clear()
            try:
                self._replace()
                self._error = None
            except StorageError as error:
                self._error = error

    def _replace(self) -> None:
        if self._is_behind:
            self._is_behind = False
            try:
                self._folder.write(self._name, bytes(self._data))
            except StorageError:
                self._is_behind = True
                raise
