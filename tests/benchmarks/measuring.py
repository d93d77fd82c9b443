"""Runs commands, and measures what they take until they say that they are done."""

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
_INTERVAL_S = 0.5  # between two looks at a command's processes


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


@dataclass(frozen=True)
class Measured:
    """What a command took.

    Attributes:
        seconds: Wall time, from the command to its mark `done`, or to its end without one.
        cpu_seconds: Processor time of it and all that it started, until then.
        peak_bytes: The largest proportional set size of them all; None if not asked for.
        marks: What it said with `arms.marks.mark`: by name, the first of each, with `after`,
            seconds since the command.
        output: What it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    marks: dict[str, dict[str, Any]]
    output: str


def run_arm(name: str, *arguments: object) -> Measured:
    """Runs `arms/NAME.py` in a process of its own."""
    return run_command([sys.executable, "-m", f"arms.{name}", *map(str, arguments)])


def run_command(command: Sequence[str], *, with_memory: bool = False) -> Measured:
    """Runs a command to its end.

    Raises:
        RuntimeError: It failed; the message has the end of what it printed.
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
                usage.look()
                time.sleep(_INTERVAL_S)
            usage.look()
            end = time.time()
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        output = log.read_text(errors="replace")
        if process.returncode:
            tail = "\n".join(output.splitlines()[-15:])
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{tail}")
        said: dict[str, dict[str, Any]] = {}
        for line in marks.read_text().splitlines():
            mark = json.loads(line)
            said.setdefault(mark["mark"], mark | {"after": mark["time"] - begin})
        seconds = said["done"]["after"] if "done" in said else end - begin
        return Measured(seconds, usage.cpu_seconds, usage.peak_bytes, said, output)


class _Usage:
    """What a process and its descendants have used, those that have ended included."""

    def __init__(self, pid: int, *, with_memory: bool) -> None:
        self._root = psutil.Process(pid)
        self._seconds: dict[psutil.Process, float] = {}
        self.peak_bytes = 0 if with_memory else None

    def look(self) -> None:
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
