"""Folders in an object store.

An object store has no folders and cannot append. It replaces an object atomically, and only if
it is still a certain version, on request. Because of these conditions a driver that has lost the
lock cannot overwrite what another one has recorded.
"""

import errno
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PreconditionError
from typing_extensions import override

from analysis.errors import InUseError, StorageError
from analysis.storage.connection import connect, mask_credentials
from analysis.storage.folder import ChangedError, Folder, T, gone_error
from analysis.storage.lease import Lease, Version, is_beating, keep_beating, suppress_unanswered

_REPLACE_EVERY_S = 20.0
_TRIES = 5
_PATIENCE_S = 60.0
_PATIENCE_AT_END_S = 5.0
_RETRY_EVERY_S = 1.0
_BUSY = ("SlowDown", "InternalError", "ServiceUnavailable")


@dataclass(frozen=True)
class StoreFolder(Folder):
    """A folder in an object store.

    Attributes:
        path: With the bucket.
        uri: Of the storage; it can contain credentials.
        lease: The lock that this process has; it does not travel to other processes.
        patience_s: How long to repeat a request that the store does not answer.
    """

    path: PurePosixPath
    uri: str = field(repr=False)
    lease: Lease | None = field(default=None, repr=False, compare=False)
    patience_s: float = field(default=0.0, repr=False, compare=False)

    _failures = (OSError, BaseError)

    def __str__(self) -> str:
        return f"{urlsplit(self.uri).scheme}://{self.path}"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"lease": None}

    @property
    @override
    def storage(self) -> str:
        return mask_credentials(self.uri)

    @property
    def client(self) -> Any:
        """Obstore's store of the bucket, or one with the same methods."""
        return connect(self.uri)

    @override
    @contextmanager
    def lock(self) -> Iterator[Self]:
        self._check_conditions()
        lease = Lease(self)
        lease.acquire()
        try:
            with keep_beating(lease):
                yield replace(self, lease=lease, lock_number=lease.number, patience_s=_PATIENCE_S)
        finally:
            lease.release()

    @override
    def is_locked(self) -> bool:
        return is_beating(self)

    @override
    def check_lock(self) -> None:
        if self.lease is not None:
            self.lease.check()

    @override
    def _attempt(self, name: str, act: Callable[[], T], *, may_lack: bool = True) -> T:
        attempt = partial(super()._attempt, name, act, may_lack=may_lack)
        return repeat(attempt, self.patience_s)

    def _check_conditions(self) -> None:
        """Check that the store honours conditions."""
        probe = f".conditions-{secrets.token_hex(8)}"
        try:
            # Not created on a condition, which fails if an answer is lost and the client retries.
            self.write(probe, b"1")
            version = self.read_version(probe)[1]
            for other in (None, Version(dict.fromkeys(version.tags, "0"))):
                try:
                    self.replace(probe, b"2", other)
                except ChangedError:
                    continue
                raise StorageError(
                    f"{self.storage} ignores conditions, without which a driver could overwrite "
                    "what another one has recorded; choose another --storage"
                )
        finally:
            with suppress_unanswered():
                self.delete(probe)

    def _key(self, name: str) -> str:
        return "/".join((*self.path.parts[1:], *filter(None, [name])))

    def _exists(self, name: str) -> bool:
        try:
            self.client.head(self._key(name))
        except FileNotFoundError:
            return False
        return True

    def _entries(self, *, folders: bool) -> list[str]:
        found = self.client.list_with_delimiter(self._key("") or None)
        paths = found["common_prefixes"] if folders else [o["path"] for o in found["objects"]]
        return [PurePosixPath(path).name for path in paths]

    def _read(self, name: str) -> tuple[bytes, Version]:
        found = self.client.get(self._key(name))
        return bytes(found.bytes()), _version(found.meta)

    def _read_first_line(self, name: str) -> bytes:
        line = b""
        for chunk in self.client.get(self._key(name)).stream():
            line += bytes(chunk)
            if b"\n" in line:
                break
        return line[: line.find(b"\n") + 1] or line

    def _write(self, name: str, data: bytes) -> None:
        if self.lease is None:
            self.client.put(self._key(name), data)
            return
        for _ in range(_TRIES):
            try:
                version = _version(self.client.head(self._key(name)))
            except FileNotFoundError:
                version = None
            self.lease.beat()
            try:
                self._replace(name, data, version)
                return
            except ChangedError:  # by this process, if the answer to an earlier try was lost
                continue
        raise StorageError(f"{self.display_path(name)} keeps changing; run the command again")

    def _replace(self, name: str, data: bytes, version: Version | None) -> Version:
        mode = "create" if version is None else version.tags
        try:
            return _version(self.client.put(self._key(name), data, mode=mode))
        except (AlreadyExistsError, PreconditionError) as error:
            raise ChangedError from error

    def _delete(self, name: str) -> None:
        if self.lease is not None:
            self.lease.ensure()
        self.client.delete(self._key(name))

    def _append_to(self, name: str) -> "ObjectAppender":
        return ObjectAppender(self, name)

    def _describe(self, error: Exception) -> tuple[int, str]:
        number, _ = super()._describe(error)
        code = _tag(error, "Code")
        if isinstance(error, GenericError | TimeoutError) and (not code or code in _BUSY):
            number = errno.ETIMEDOUT
        if code:
            message = _tag(error, "Message")
            return number, f"the object store says {code}" + (f": {message}" if message else "")
        text = mask_credentials(str(error)).partition("\n\nDebug source")[0]
        if "retries" in text or "HTTP error" in text:
            return number, "the object store does not answer"
        return number, " ".join(text.split())


def open_store(uri: str) -> StoreFolder:
    """Return the folder of a URI, as `connect` takes it and with the errors of `connect`."""
    connect(uri)
    parts = urlsplit(uri)
    bucket = parts.netloc.rpartition("@")[2]
    return StoreFolder(PurePosixPath(bucket, unquote(parts.path).strip("/")), uri)


def repeat(attempt: Callable[[], T], patience_s: float) -> T:
    """Return what a function returns; repeat it for `patience_s` while the store does not answer.

    The last attempt begins after that time. So a process that was suspended in an attempt, whose
    connection is lost then, makes another one.
    """
    end = time.monotonic() + patience_s
    while True:
        is_last = time.monotonic() >= end
        try:
            return attempt()
        except StorageError as error:
            if error.errno != errno.ETIMEDOUT or is_last:
                raise
        time.sleep(_RETRY_EVERY_S)


def _tag(error: Exception, tag: str) -> str | None:
    """Return the first line of what a store says in an error about itself."""
    found = re.search(rf"<{tag}>(.*?)(?:\\n|</{tag}>)", mask_credentials(str(error)))
    return found[1] if found else None


def _version(answer: Any) -> Version:
    tags = {key: answer[key] for key in ("e_tag", "version") if answer.get(key)}
    modified = answer.get("last_modified")
    return Version(tags, None if modified is None else modified.timestamp())


class ObjectAppender:
    """Appends lines to an object by replacing it in a thread, every 20 s.

    A driver whose machine is lost loses no more than the lines of that time. Only the version
    that this appender has written last is replaced. What it begins with is sealed by a line
    that readers ignore, so that it cannot be replaced by an earlier appender either.
    """

    def __init__(self, folder: StoreFolder, name: str) -> None:
        # Each try ensures that the process has the lock.
        self._folder, self._name = replace(folder, patience_s=0.0), name
        self._patience_s = folder.patience_s
        self.contents, self._version = self._seal()
        self._data = bytearray(self.contents)
        self._obsolete: deque[str] = deque()
        self._is_behind = True  # the seal is to be removed
        self._error: StorageError | None = None
        self._wake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._replace_regularly, daemon=True)
        self._thread.start()

    def truncate(self, n_bytes: int) -> None:
        """Keep only the first bytes, from the next replacement on."""
        del self._data[n_bytes:]

    def write_line(self, line: bytes, *, at_once: bool = False) -> None:
        """Take one line, or raise the error of the lines before it."""
        if self._error is not None:
            raise self._error
        self._data += line
        self._is_behind = True
        if at_once:
            self._wake.set()

    def delete_when_safe(self, names: Iterable[str]) -> None:
        """Delete files of the folder after the next replacement."""
        self._obsolete.extend(names)

    def close(self) -> None:
        """Wait until the store has all lines."""
        self._is_closed = True
        self._wake.set()
        self._thread.join()
        repeat(self.flush, min(self._patience_s, _PATIENCE_AT_END_S))

    def flush(self) -> None:
        """Replace the object, then delete what is obsolete; InUseError if the lock is lost."""
        n_obsolete = len(self._obsolete)
        if self._is_behind:
            self._is_behind = False
            try:
                self._put(bytes(self._data))
            except StorageError:
                self._is_behind = True
                raise
        for _ in range(n_obsolete):
            with suppress_unanswered():  # the next driver deletes what is left
                self._folder.delete(self._obsolete.popleft())

    def _replace_regularly(self) -> None:
        while not self._is_closed:
            self._wake.wait(_REPLACE_EVERY_S)
            self._wake.clear()
            try:
                repeat(self._flush_unless_closed, self._patience_s)
            except StorageError as error:
                self._error = error

    def _flush_unless_closed(self) -> None:
        if not self._is_closed:
            self.flush()

    def _seal(self) -> tuple[bytes, Version]:
        """Return the contents, and the version of the object once it is sealed."""
        seal = f'{{"sealed": "{secrets.token_hex(8)}'.encode()
        for _ in range(_TRIES):
            try:
                contents, version = self._folder.read_version(self._name)
            except FileNotFoundError:
                contents, version = b"", None
            if contents.endswith(seal):  # the answer was lost
                return contents.removesuffix(seal), version
            self._ensure_lock()
            with suppress(ChangedError):
                return contents, self._folder.replace(self._name, contents + seal, version)
        raise StorageError(
            f"{self._folder.display_path(self._name)} keeps changing; run the command again"
        )

    def _put(self, data: bytes) -> None:
        for _ in range(_TRIES):
            self._ensure_lock()
            try:
                self._version = self._folder.replace(self._name, data, self._version)
                return
            except ChangedError:
                try:
                    found, version = self._folder.read_version(self._name)
                except FileNotFoundError as error:
                    raise gone_error(self._folder.display_path(self._name)) from error
                # Nothing has changed, or it is an earlier try, whose answer was lost.
                if version.tags != self._version.tags and not data.startswith(found):
                    break
                self._version = version
        if self._folder.lease is not None:
            self._folder.lease.beat()
        path = self._folder.display_path(self._name)
        raise InUseError(f"another process has written to {path}; nothing in it is lost")

    def _ensure_lock(self) -> None:
        if self._folder.lease is not None:
            self._folder.lease.ensure()
