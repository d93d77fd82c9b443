"""One driver at a time on a sweep."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator

from analysis.folder import Folder
from sweep.errors import StorageError

_LOCK_FILE = ".lock"


@contextlib.contextmanager
def hold(folder: Folder) -> Iterator[None]:
    """Keeps every other driver off the sweep in `folder` for the time of a `with` block.

    The operating system gives the lock back when its holder dies, however it dies, so there
    is none to be cleared away by hand.

    Raises:
        StorageError: Another process holds it; the message names it and its host.
    """
    path = folder.local_path(_LOCK_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StorageError(
                f"another process is at work on {folder}: {_describe(file.read())}; wait for it "
                f"to end, or watch it with `sweep status --follow`"
            ) from None
        file.truncate(0)
        json.dump({"host": socket.gethostname(), "pid": os.getpid()}, file)
        file.flush()
        yield


def is_held(folder: Folder) -> bool:
    """Tells whether a driver is at work on the sweep in `folder`."""
    try:
        with folder.local_path(_LOCK_FILE).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _describe(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "it has not said which"
