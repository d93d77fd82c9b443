"""Waiting for what another thread or process does."""

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T],
    seconds: float,
    *,
    process: "subprocess.Popen[str] | None" = None,
    pause_s: float = 0.05,
) -> T:
    """Return the value of a condition once it is true.

    It must become true within some seconds, and before a process ends, if one is given.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"it did not become true within {seconds} s"
        time.sleep(pause_s)
    return found
