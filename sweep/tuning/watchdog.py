"""A driver whose Ray has died: Ray would let it wait for a minute, then end it without a word."""

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ray

from sweep.tuning.ray_session import kill_ray

_VITAL = ("raylet", "gcs_server")
_LOOK_EVERY_S = 0.5
_CLEARING_S = 3.0
_KNOCK_EVERY_S = 2.0
_HEAD_SILENT_S = 20.0


@contextlib.contextmanager
def watchdog(scratch: Path, on_death: Callable[[str], None]) -> Iterator[None]:
    """Watches the Ray that was started here, or a cluster's head, for a `with` block's time.

    Once a part of it has died, nothing that asks it anything returns in time, its own end
    included. So another thread clears away what is left, and is to end this process then.

    Args:
        scratch: The scratch folder of the session.
        on_death: Called with what has died; does not return.
    """
    node = ray._private.worker._global_node
    head = None if node.is_head() else _Head(node.gcs_address)
    ended = threading.Event()

    def death() -> str | None:
        for kind, _ in node.dead_processes():
            if kind in _VITAL:
                return f"Ray's {kind} has died"
        if head is not None and head.is_lost():
            return f"the head of the Ray cluster at {head.address} does not answer"
        return None

    def watch() -> None:
        while not ended.wait(_LOOK_EVERY_S if head is None else _KNOCK_EVERY_S):
            if (found := death()) is not None:
                kill_ray()
                _clear(scratch)
                on_death(found)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Head:
    """The head of a cluster that was joined; it may be silent for some seconds."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._host, _, self._port = address.rpartition(":")
        self._heard = time.monotonic()

    def is_lost(self) -> bool:
        """Tells whether it has been silent for too long."""
        with contextlib.suppress(OSError):
            socket.create_connection((self._host, int(self._port)), _KNOCK_EVERY_S).close()
            self._heard = time.monotonic()
        return time.monotonic() - self._heard > _HEAD_SILENT_S


def _clear(scratch: Path) -> None:
    """Deletes the folder; workers that are still dying may write to it."""
    deadline = time.monotonic() + _CLEARING_S
    while scratch.exists() and time.monotonic() < deadline:
        shutil.rmtree(scratch, ignore_errors=True)
        time.sleep(0.1)
