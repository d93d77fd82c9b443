"""How long a user waits, and how much memory a sweep takes."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from analysis.records.ledger import EpochRecord, read_ledger
from analysis.storage.folder import LocalFolder
from measuring import Measured, Spread, run_command
from results import Row, Section, Target

SWEEP = [sys.executable, "-m", "sweep"]
SYNTHETIC = Path(__file__).parents[1] / "synthetic.py"


def measure(rounds: int) -> Section:
    """The commands in turn; the sweep is one of two trials of one epoch on all of MNIST."""
    helps, bests, firsts, runs = [], [], [], []
    with tempfile.TemporaryDirectory() as storage:
        subprocess.run([sys.executable, SYNTHETIC, storage, "known", "--trials=32"], check=True)
        for n in range(rounds):
            helps.append(_seconds(["--help"]))
            bests.append(_seconds(["best", "known", "--storage", storage]))
            first, run = _first_epoch(Path(storage), f"run-{n}")
            firsts.append(first)
            runs.append(run)
    spreads = {
        "`sweep --help`, s": Spread.of(helps),
        "`sweep best`, 32 trials, s": Spread.of(bests),
        "`sweep run` to its first epoch, s": Spread.of(firsts),
        "memory of a whole sweep at its peak, GiB": Spread.of(
            (run.peak_bytes or 0) / 2**30 for run in runs
        ),
    }
    rows: list[Row] = [{"": name, "measured": spread} for name, spread in spreads.items()]
    limits = zip(spreads.items(), (0.4, 1.0, 10.0, 3.0), strict=True)
    return Section(
        "Start-up and memory",
        "Two trials at a time on this machine, the data in the cache. Memory is that of the "
        "driver, Ray and the workers, shared pages counted once, the object store included.",
        [rows],
        [Target(name, spread.median, limit) for (name, spread), limit in limits],
    )


def _seconds(arguments: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run([*SWEEP, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def _first_epoch(storage: Path, name: str) -> tuple[float, Measured]:
    """Seconds from `sweep run` to the begin of its first epoch, and what the whole took."""
    begin = time.time()
    settings = ["--set", "trials=2", "--set", "epochs=1", "--search-only"]
    command = [*SWEEP, "run", "--name", name, "--storage", str(storage), *settings]
    run = run_command(command, with_memory=True)
    records = read_ledger(LocalFolder(storage / name)).records
    return min(r.time - r.seconds for r in records if isinstance(r, EpochRecord)) - begin, run
