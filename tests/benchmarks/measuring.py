"""Measures the time and memory of commands."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
SWEEP = [sys.executable, "-m", "sweep"]
_INTERVAL_S = 0.5  # between two measurements of a command's processes


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing: their median and range."""

    median: float
    min: float
    max: float
    values: list[float]

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        values = list(values)
        return cls(statistics.median(values), min(values), max(values), values)

    @classmethod
    def of_ratios(cls, values: Iterable[float], others: Iterable[float]) -> "Spread":
        """Compare two things round by round."""
        return cls.of(a / b for a, b in zip(values, others, strict=True))


@dataclass(frozen=True)
class Measured:
    """The measurements of a command.

    Attributes:
        seconds: Wall time to its mark `done`, or to its end without one.
        cpu_seconds: Processor time of it and its descendants until then.
        peak_bytes: Largest sum of their proportional set sizes; None if not measured.
        marks: Marks of `arms.marks.mark`: by name the first of each, with `after`, in seconds
            since the start.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    marks: dict[str, dict[str, Any]]


def run_arm(name: str, *arguments: object) -> Measured:
    """Run `arms/NAME.py` in a process of its own."""
    return run_command([sys.executable, "-m", f"arms.{name}", *map(str, arguments)])


def time_sweep(*arguments: str) -> float:
    """Return the seconds that a command of `sweep` takes."""
    begin = time.perf_counter()
    subprocess.run([*SWEEP, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def write_sweep(storage: str, name: str, *options: str) -> None:
    """Write a synthetic sweep."""
    script = HERE.parent / "helpers/synthetic.py"
    subprocess.run([sys.executable, script, storage, name, *options], check=True)


def run_command(command: Sequence[str], *, with_memory: bool = False) -> Measured:
    """Run a command to its end.

    Raises:
        RuntimeError: It failed; the message ends with the last lines of its output.
    """
    with tempfile.TemporaryDirectory() as scratch:
        marks, log = Path(scratch) / "marks", Path(scratch) / "log"
        marks.touch()
        paths = (str(HERE), os.environ.get("PYTHONPATH"))
        environment = os.environ | {
            "BENCHMARK_MARKS": str(marks),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        begin = time.time()
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=scratch,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            usage = _Usage(process.pid, with_memory=with_memory)
            while process.poll() is None and '"done"' not in marks.read_text():
                usage.measure()
                time.sleep(_INTERVAL_S)
            usage.measure()
            end = time.time()
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        if process.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{tail}")
        reached: dict[str, dict[str, Any]] = {}
        for line in marks.read_text().splitlines():
            mark = json.loads(line)
            reached.setdefault(mark["mark"], mark | {"after": mark["time"] - begin})
        seconds = reached["done"]["after"] if "done" in reached else end - begin
        return Measured(seconds, usage.cpu_seconds, usage.peak_bytes, reached)


class _Usage:
    """The processor time and memory of a process and its descendants, also of ended ones."""

    def __init__(self, pid: int, *, with_memory: bool) -> None:
        self._root = psutil.Process(pid)
        self._seconds: dict[psutil.Process, float] = {}
        self.peak_bytes = 0 if with_memory else None

    def measure(self) -> None:
        total = 0
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                times = process.cpu_times()
                self._seconds[process] = times.user + times.system
                if self.peak_bytes is not None:
                    total += process.memory_full_info().pss
            except psutil.Error:
                continue
        if self.peak_bytes is not None:
            self.peak_bytes = max(self.peak_bytes, total)

    @property
    def cpu_seconds(self) -> float:
        return sum(self._seconds.values())
