"""Where a sweep runs: versions, machine and commit, for `environment.json` and the doctor."""

import contextlib
import json
import math
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import psutil

from sweep.errors import UsageError

PACKAGES = ("lenet-sweep", "torch", "torchvision", "ray", "optuna", "numpy", "pandas")
_CONTROL_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Finding:
    """What one check of a machine or a cluster found; a problem keeps a sweep from running."""

    check: str
    text: str
    is_problem: bool = False


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result may depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def needs_no_quotes(path: str) -> bool:
    """Return whether a shell can read `path` unquoted, as Ray passes it to its workers."""
    return re.fullmatch(r"[\w./+@%:,=-]+", path) is not None


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of a Ray cluster's address; UsageError if it is not HOST:PORT."""
    host, _, port = address.rpartition(":")
    if "/" in host or not host or not (port.isascii() and port.isdigit()):
        hint = "; from outside a cluster use `ray job submit`" if "://" in address else ""
        raise UsageError(f"`--address` must be auto or HOST:PORT, but got {address!r}{hint}")
    return host.strip("[]"), int(port)


def n_processors() -> int:
    """Return how many processor cores this process may use, at least 1.

    Hyperthreads do not count. In a container it is the container's share of the processor
    time, rounded down.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    physical = psutil.cpu_count(logical=False)
    share = min(_limit("cpu.max"), _limit("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
    return max(1, int(min(usable or 1, physical or math.inf, share)))


def machine() -> dict[str, str | int]:
    """Describe this machine; in a container, with the container's limits."""
    memory = min(_limit("memory.max"), _limit("memory/memory.limit_in_bytes"))
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": _processor_name(),
        "processors": n_processors(),
        "memory_bytes": int(min(psutil.virtual_memory().total, memory)),
    }


def gpus() -> dict[str, Any]:
    """Describe the GPUs of this machine that are usable with CUDA; empty without any."""
    import torch  # slow, and only needed if trials train on GPUs

    # Alone, `device_count` also counts what a broken driver cannot use.
    if not torch.cuda.is_available():
        return {}
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    kinds = ", ".join(dict.fromkeys(names))
    return {"gpu": kinds, "gpus": len(names), "cuda": torch.version.cuda}


def commit() -> str | None:
    """Return the commit of the checkout that this program was installed from, if any.

    pip records the checkout's folder (PEP 610). `-dirty` marks uncommitted changes.
    """
    try:
        origin = distribution("lenet-sweep").read_text("direct_url.json")
        folder = url2pathname(urlparse(json.loads(origin or "{}").get("url", "")).path)
        # The commit itself, never the name of a tag that points at it.
        describe = ("describe", "--always", "--exclude=*", "--dirty", "--abbrev=40")
        run = subprocess.run(
            ["git", "-C", folder or os.devnull, *describe],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (PackageNotFoundError, OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def _limit(*files: str) -> float:
    """Return the limit in files of Linux's control groups (version 2 or 1), or infinity.

    Two numbers are the microseconds of processor time per period.
    """
    try:
        words = " ".join((_CONTROL_GROUPS / file).read_text() for file in files).split()
        number, period = [*map(int, words), 1][:2]
    except (OSError, ValueError):  # no such file, or it says `max`
        return math.inf
    return number / period if number > 0 else math.inf


def _processor_name() -> str:
    found = None
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        found = re.search(r"^model name\s*: (.*)", text, re.MULTILINE)
    return found[1] if found else platform.processor()
