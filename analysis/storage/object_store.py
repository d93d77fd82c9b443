"""Sweeps in an object store, through pyarrow's file systems: S3, and Google's by the same means.

An object store has no folders, cannot append, and puts an object whole or not at all.
"""

import errno
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit, urlunsplit

from pyarrow import ArrowInvalid, NativeFile
from pyarrow.fs import FileSelector, FileSystem, FileType, S3FileSystem

from analysis.storage.folder import Folder

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
        raise ValueError(str(error).splitlines()[0]) from error
    return StoreFolder(uri, path.strip("/"))


def without_secrets(uri: str) -> str:
    """Returns a URI without the credentials that it may hold."""
    return re.sub(r"(?<=://)[^/?]*@", "…@", uri)


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
        """The folder's own name."""
        return self.path.rpartition("/")[2]

    @property
    def storage(self) -> str:
        """The storage's URI, without credentials."""
        return without_secrets(self.uri)

    def child(self, name: str) -> "StoreFolder":
        """Returns the folder `name` in this one; it need not exist."""
        return StoreFolder(self.uri, f"{self.path}/{name}")

    def exists(self, name: str) -> bool:
        """Tells whether there is a file `name`."""
        with self._errors_named(name):
            info = self._filesystem.get_file_info(f"{self.path}/{name}")
        return bool(info.type == FileType.File)

    def folders(self) -> list[str]:
        """Returns the names of the folders in this one, sorted; none if it does not exist."""
        return self._entries(FileType.Directory)

    def files(self) -> list[str]:
        """Returns the names of the files in this folder, sorted; none if it does not exist."""
        return self._entries(FileType.File)

    def read(self, name: str) -> bytes:
        """Returns the file's bytes.

        Raises:
            FileNotFoundError: If there is none.
        """
        with self._errors_named(name), self._open(name) as stream:
            data: bytes = stream.read()
        return data

    def write(self, name: str, data: bytes) -> None:
        """Writes or replaces a file: a reader sees the old or the new bytes."""
        with (
            self._errors_named(name),
            self._filesystem.open_output_stream(f"{self.path}/{name}", compression=None) as stream,
        ):
            stream.write(data)

    def delete(self, name: str) -> None:
        """Deletes a file, if there is one."""
        with suppress(FileNotFoundError), self._errors_named(name):
            self._filesystem.delete_file(f"{self.path}/{name}")

    def lines(self, name: str) -> Iterator[bytes]:
        """Yields the file's lines, line ends included.

        Raises:
            FileNotFoundError: If there is none.
        """
        with self._errors_named(name), self._open(name) as stream:
            # In parts: to list sweeps, the first line of each is enough.
            yield from io.BufferedReader(stream, _PART_BYTES)

    def modified(self, name: str) -> float:
        """Returns when a file was last written, in seconds since 1970 by the store's clock.

        Raises:
            FileNotFoundError: If there is none.
        """
        with self._errors_named(name):
            info = self._filesystem.get_file_info(f"{self.path}/{name}")
        if info.type != FileType.File:
            raise FileNotFoundError(errno.ENOENT, "there is no such object", self.place(name))
        return float(info.mtime.timestamp())

    def append_to(self, name: str, *, torn: int = 0) -> "ObjectAppender":
        """Returns what appends lines to a file, which is begun if there is none."""
        return ObjectAppender(self, name, torn=torn)

    @property
    def _filesystem(self) -> FileSystem:
        return _connect(self.uri)[0]

    def _open(self, name: str) -> NativeFile:
        return self._filesystem.open_input_stream(f"{self.path}/{name}", compression=None)

    def _entries(self, kind: FileType) -> list[str]:
        selector = FileSelector(self.path, allow_not_found=True)
        with self._errors_named(""):
            found = self._filesystem.get_file_info(selector)
        return sorted(entry.base_name for entry in found if entry.type == kind)

    @contextmanager
    def _errors_named(self, name: str) -> Iterator[None]:
        """Gives the store's errors what those of a disk have: a number, a reason, a place."""
        try:
            yield
        except FileNotFoundError as error:
            raise FileNotFoundError(
                errno.ENOENT, "there is no such object", self.place(name)
            ) from error
        except OSError as error:
            raise OSError(errno.EIO, _reason(error), self.place(name)) from error


class ObjectAppender:
    """Appends lines to an object by replacing it whole, in a thread of its own.

    That happens 20 s after the last time, or at once after a `flush`, so that a driver whose
    machine is lost loses no more than the lines of about that time.

    Args:
        folder: Where the object is.
        name: Its name there.
        torn: The number of bytes of a half-written last line, to be taken away.
    """

    def __init__(self, folder: StoreFolder, name: str, *, torn: int = 0) -> None:
        self._folder, self._name = folder, name
        data = folder.read(name) if folder.exists(name) else b""
        self._data = bytearray(data[: len(data) - torn])
        self._is_behind = torn > 0
        self._error: OSError | None = None
        self._wake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._replace_regularly, daemon=True)
        self._thread.start()

    def write_line(self, line: bytes) -> None:
        """Takes one whole line.

        Raises:
            OSError: The store did not take what came before.
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
            OSError: The store does not take it.
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
            except OSError as error:
                self._error = error

    def _replace(self) -> None:
        if self._is_behind:
            self._is_behind = False
            try:
                self._folder.write(self._name, bytes(self._data))
            except OSError:
                self._is_behind = True
                raise


def _reason(error: OSError) -> str:
    """What the store says, without the sentence that pyarrow puts before it."""
    text = str(error).splitlines()[0]
    found = re.search(r"AWS Error (.*?)(; Details|$)", text)
    return f"the object store says {found[1]}" if found else text
