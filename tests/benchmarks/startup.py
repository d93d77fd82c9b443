"""Seconds that a user waits for the first output, and the memory of a sweep."""

import tempfile
import time
from pathlib import Path

from analysis.records.ledger import EpochRecord, read_ledger
from analysis.storage.local_folder import LocalFolder
from measuring import SWEEP, Measured, Spread, run_command, time_sweep, write_sweep
from results import Row, Section, Target


def measure(rounds: int) -> Section:
    """Time the commands in turn; the sweep has two trials of one epoch on all of MNIST."""
    helps, bests, firsts, peaks = [], [], [], []
    with tempfile.TemporaryDirectory() as storage:
        write_sweep(storage, "known", "--trials=32")
        for n in range(rounds):
            helps.append(time_sweep("--help"))
            bests.append(time_sweep("best", "known", "--storage", storage))
            first, run = _first_epoch(Path(storage), f"run-{n}")
            firsts.append(first)
            peaks.append((run.peak_bytes or 0) / 2**30)
    measured = (
        ("`sweep --help`, s", helps, 0.4),
        ("`sweep best`, 32 trials, s", bests, 1.0),
        ("`sweep run` to its first epoch, s", firsts, 10.0),
        ("memory of a sweep at its peak, GiB", peaks, 3.0),
    )
    rows: list[Row] = [{"": name, "measured": Spread.of(values)} for name, values, _ in measured]
    return Section(
        "Start-up and memory",
        "Two trials at a time on this machine, the data in the cache. Memory is that of the "
        "driver, Ray and the workers, shared pages counted once, the object store included.",
        [rows],
        [Target(name, Spread.of(values).median, limit) for name, values, limit in measured],
    )


def _first_epoch(storage: Path, name: str) -> tuple[float, Measured]:
    """Return the seconds from `sweep run` to the start of its first epoch, and the run."""
    begin = time.time()
    options = ["--trials=2", "--epochs=1", "--search-only"]
    command = [*SWEEP, "run", "--name", name, "--storage", str(storage), *options]
    run = run_command(command, with_memory=True)
    records = read_ledger(LocalFolder(storage / name)).records
    return min(r.time - r.seconds for r in records if isinstance(r, EpochRecord)) - begin, run
