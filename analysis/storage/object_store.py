"""Folders in an object store, through pyarrow's file systems: S3 and Google Cloud Storage.

An object store has no folders, cannot append, and replaces an object atomically.
"""

import errno
import io
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

from pyarrow import ArrowInvalid
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, S3FileSystem
from typing_extensions import override

from analysis.errors import StorageError
from analysis.storage.folder import Folder
from analysis.storage.heartbeat import hold_lock, is_beating

_REPLACE_EVERY_S = 20.0
_PART_BYTES = 1 << 20
_S3_TIMEOUTS = {"connect_timeout": 2.0, "request_timeout": 5.0}  # seconds; three attempts
_GOOGLE_TIMEOUT = "retry_limit_seconds=20"  # pyarrow's own default is 15 minutes


def open_store(uri: str) -> "StoreFolder":
    """Return the folder of a URI such as `s3://bucket/prefix?endpoint_override=…`.

    The query is pyarrow's. Credentials come from the environment, the user's configuration or
    the machine's role, or are in the URI.

    Raises:
        ValueError: It is not the URI of an object store.
        StorageError: The store does not answer.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("s3", "gs") or not parts.hostname:
        raise ValueError("it must be s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")
    if ":" in parts.netloc and "@" not in parts.netloc:  # a bucket has no port
        raise ValueError("special characters in the password must be percent-encoded, `/` as %2F")
    if parts.scheme == "gs" and "retry_limit_seconds" not in parts.query:
        query = "&".join(filter(None, (parts.query, _GOOGLE_TIMEOUT)))
        uri = urlunsplit(parts._replace(query=query))
    try:
        _, path = _connect(uri)
    except ArrowInvalid as error:
        raise ValueError(mask_credentials(str(error).splitlines()[0])) from error
    except OSError as error:
        raise StorageError(errno.EIO, _describe(error), mask_credentials(uri)) from error
    return StoreFolder(PurePosixPath(path.strip("/")), uri)


def mask_credentials(text: str) -> str:
    """Return a text with the user and the password of its URI masked.

    A password that is not percent-encoded may contain any character. Without a password all up
    to the last `@` of the path is masked, with one all up to the last `@`.
    """
    return re.sub(r"(?<=://)([^\s/?@]+:.*|[^\s?]*)@", "…@", text)


@cache
def _connect(uri: str) -> tuple[FileSystem, str]:
    filesystem, path = FileSystem.from_uri(uri)
    if isinstance(filesystem, S3FileSystem):
        # A URI cannot set the timeouts, which are a minute and a half by default.
        rebuild, (options,) = filesystem.__reduce__()
        filesystem = rebuild({**options, **_S3_TIMEOUTS})
    return filesystem, path


def _describe(error: OSError) -> str:
    """Return the store's own words, without the sentence that pyarrow puts before them."""
    text = mask_credentials(str(error).splitlines()[0])
    found = re.search(r"AWS Error (.*?)(; Details|$)", text)
    return f"the object store says {found[1]}" if found else text


@dataclass(frozen=True)
class StoreFolder(Folder):
    """A folder in an object store.

    Attributes:
        path: With the bucket.
        uri: Of the storage; it can contain credentials.
    """

    uri: str = field(repr=False)

    def __str__(self) -> str:
        return f"{urlsplit(self.uri).scheme}://{self.path}"

    @property
    @override
    def storage(self) -> str:
        return mask_credentials(self.uri)

    def modified(self, name: str) -> float:
        """Return when a file was last written, in seconds since 1970 by the store's clock."""
        with self._errors_of(name):
            info = self._info(name)
            if info.type != FileType.File:
                raise FileNotFoundError
            return float(info.mtime.timestamp())

    @override
    def lock(self) -> AbstractContextManager[Callable[[], None]]:
        return hold_lock(self, self.modified)

    @override
    def is_locked(self) -> bool:
        return is_beating(self.modified)

    @property
    def _filesystem(self) -> FileSystem:
        return _connect(self.uri)[0]

    def _info(self, name: str) -> FileInfo:
        return self._filesystem.get_file_info(f"{self.path}/{name}")

    def _exists(self, name: str) -> bool:
        return bool(self._info(name).type == FileType.File)

    def _entries(self, *, folders: bool) -> list[str]:
        selector = FileSelector(str(self.path), allow_not_found=True)
        kind = FileType.Directory if folders else FileType.File
        entries = self._filesystem.get_file_info(selector)
        return [entry.base_name for entry in entries if entry.type == kind]

    def _open(self, name: str) -> BinaryIO:
        stream = self._filesystem.open_input_stream(f"{self.path}/{name}", compression=None)
        return io.BufferedReader(stream, _PART_BYTES)

    def _write(self, name: str, data: bytes) -> None:
        path = f"{self.path}/{name}"
        with self._filesystem.open_output_stream(path, compression=None) as stream:
            stream.write(data)

    def _delete(self, name: str) -> None:
        self._filesystem.delete_file(f"{self.path}/{name}")

    def _append_to(self, name: str, truncated_bytes: int) -> "ObjectAppender":
        return ObjectAppender(self, name, truncated_bytes=truncated_bytes)

    def _reason(self, error: OSError) -> str:
        return _describe(error)


class ObjectAppender:
    """Appends lines to an object by replacing it in a thread, every `every_s` seconds.

    A driver whose machine is lost loses no more than the lines of that time.
    """

    def __init__(
        self,
        folder: StoreFolder,
        name: str,
        *,
        truncated_bytes: int = 0,
        every_s: float = _REPLACE_EVERY_S,
    ) -> None:
        self._folder, self._name, self._every_s = folder, name, every_s
        data = folder.read(name) if folder.exists(name) else b""
        self._data = bytearray(data[: len(data) - truncated_bytes])
        self._is_behind = truncated_bytes > 0
        self._error: StorageError | None = None
        self._wake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._replace_regularly, daemon=True)
        self._thread.start()

    def write_line(self, line: bytes, *, at_once: bool = False) -> None:
        """Take one line; an error is that of the lines before."""
        if self._error is not None:
            raise self._error
        self._data += line
        self._is_behind = True
        if at_once:
            self._wake.set()

    def close(self) -> None:
        """Wait until the store has all lines."""
        self._is_closed = True
        self._wake.set()
        self._thread.join()
        self._replace()

    def _replace_regularly(self) -> None:
        while not self._is_closed:
            self._wake.wait(self._every_s)
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
