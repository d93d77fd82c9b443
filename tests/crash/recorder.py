"""Records the steps that `analysis.storage.local_folder` takes on a disk, in their order."""

import base64
import contextlib
import errno
import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from analysis.storage import local_folder
from analysis.storage.local_folder import FileAppender, LocalFolder


@dataclass(frozen=True)
class Step:
    """One step of one process.

    Attributes:
        kind: `mkdir`, `create`, `write`, `truncate`, `sync`, `failed_sync`, `rename`, `unlink`
            or `sync_directory`; or what a caller was told: `line` (a line is on the disk),
            `file` (a file is) or `opened` (these lines were found in the file).
        path: Relative to the storage.
        to: The new path of a `rename`.
        offset: Of a `write`; the new size of a `truncate`.
        data: Of a `write`, a `line` and an `opened`.
    """

    kind: str
    path: str
    to: str = ""
    offset: int = 0
    data: bytes = b""


class Killed(BaseException):
    """The process is killed: it takes no more steps."""


class Log:
    """The steps of this process, to which something happens after `n_steps` of them.

    It is killed (`kill`), the next step, a sync, fails (`sync`), or the disk is full (`full`). A
    `with` block is one process's turn.
    """

    def __init__(self, n_steps: int | None = None, what: str = "kill") -> None:
        self.steps: list[Step] = []
        self._n_steps, self._what = n_steps, what

    def __enter__(self) -> None:
        if self._what == "kill" and len(self.steps) == self._n_steps:
            raise Killed

    def __exit__(self, *_: object) -> None:
        pass

    def record(self, step: Step) -> None:
        self.steps.append(step)

    def n_bytes(self, data: bytes) -> int:
        """Return how many bytes of a write a disk takes that fills up in its middle."""
        if self._what != "full" or self._n_steps is None or len(self.steps) < self._n_steps:
            return len(data)
        if len(self.steps) == self._n_steps and len(data) > 1:
            return len(data) // 2
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fails_to_sync(self) -> bool:
        return self._what == "sync" and len(self.steps) == self._n_steps


class SharedLog(Log):
    """The steps of several processes, in one file.

    One that writes to the file `victim` for the `n_writes`-th time is killed, in earnest.
    """

    def __init__(self, path: Path, victim: str = "", n_writes: int = 0) -> None:
        super().__init__()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._victim, self._n_left = victim, n_writes
        self._mutex = threading.Lock()

    def __enter__(self) -> None:
        self._mutex.acquire()
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._mutex.release()

    def record(self, step: Step) -> None:
        line = json.dumps({**asdict(step), "data": base64.b64encode(step.data).decode()})
        os.write(self._file, line.encode() + b"\n")
        if step.kind == "write" and self._victim and step.path.endswith(self._victim):
            self._n_left -= 1
            if self._n_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def read_log(path: Path) -> list[Step]:
    """Return the steps in the file of a `SharedLog`."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [Step(**{**step, "data": base64.b64decode(step["data"])}) for step in found]


class RecordingOs:
    """Takes the place of `os` in `local_folder`: takes each step and records it, in one turn."""

    def __init__(self, root: Path, log: "Log") -> None:
        self._root, self._log, self._record = root, log, log.record
        self._paths: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        with self._log:
            is_new = flags & os.O_CREAT and not path.exists()
            handle = os.open(path, flags, mode)
            if path.name != ".lock" and path.is_relative_to(self._root):
                self._paths[handle] = self.name(path)
                if is_new:
                    self._record(Step("create", self.name(path)))
            return handle

    def close(self, handle: int) -> None:
        self._paths.pop(handle, None)
        os.close(handle)

    def write(self, handle: int, data: bytes) -> int:
        # Every file of `local_folder` is written at its end.
        with self._log:
            offset = os.fstat(handle).st_size
            n_bytes = os.write(handle, data[: self._log.n_bytes(data)])
            self._record_of(handle, Step("write", "", offset=offset, data=bytes(data[:n_bytes])))
            return n_bytes

    def ftruncate(self, handle: int, n_bytes: int) -> None:
        with self._log:
            os.ftruncate(handle, n_bytes)
            self._record_of(handle, Step("truncate", "", offset=n_bytes))

    def fsync(self, handle: int) -> None:
        with self._log:
            path = self._paths.get(handle)
            is_directory = path is not None and (self._root / path).is_dir()
            if self._log.fails_to_sync():
                self._record_of(handle, Step("failed_sync", ""))
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            os.fsync(handle)
            self._record_of(handle, Step("sync_directory" if is_directory else "sync", ""))

    def replace(self, source: Path, target: Path) -> None:
        with self._log:
            os.replace(source, target)
            self._record(Step("rename", self.name(source), self.name(target)))

    def unlink(self, path: Path) -> None:
        with self._log:
            os.unlink(path)
            self._record(Step("unlink", self.name(path)))

    def mkdir(self, path: Path) -> None:
        with self._log:
            os.mkdir(path)
            self._record(Step("mkdir", self.name(path)))

    def name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def told(self, kind: str, path: Path, data: bytes = b"") -> None:
        with self._log:
            self._record(Step(kind, self.name(path), data=data))

    def _record_of(self, handle: int, step: Step) -> None:
        if (path := self._paths.get(handle)) is not None:
            self._record(replace(step, path=path))


@contextlib.contextmanager
def recording(root: Path, log: Log) -> Iterator[None]:
    """Record the steps below `root` of this process in a `with` block."""
    recorder = RecordingOs(root, log)
    local_folder._sync_entry.cache_clear()  # this process is a new one
    init, write_line, write = FileAppender.__init__, FileAppender.write_line, LocalFolder._write

    def recorded_init(self: FileAppender, folder: LocalFolder, name: str) -> None:
        init(self, folder, name)
        recorder.told("opened", folder.path / name, self.contents)

    def recorded_line(self: FileAppender, line: bytes, **options: bool) -> None:
        write_line(self, line, **options)
        recorder.told("line", self._folder.path / self._name, line)

    def recorded_write(self: LocalFolder, name: str, data: bytes) -> None:
        write(self, name, data)
        recorder.told("file", self.path / name)

    with (
        patch.object(local_folder, "os", recorder),
        patch.object(FileAppender, "__init__", recorded_init),
        patch.object(FileAppender, "write_line", recorded_line),
        patch.object(LocalFolder, "_write", recorded_write),
    ):
        yield
