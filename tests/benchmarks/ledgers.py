"""Reading a sweep, finding its best trial, drawing its pictures: whole commands."""

import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import Measured, Spread, run_command
from results import Row, Section, Target

SIZES = (100, 1_000, 10_000)
SYNTHETIC = Path(__file__).parents[1] / "synthetic.py"


def measure(rounds: int) -> Section:
    """Writes synthetic ledgers, and lets the commands take turns on them."""
    with tempfile.TemporaryDirectory() as storage:
        best: dict[int, list[Measured]] = {n: [] for n in SIZES}
        plot: dict[int, list[Measured]] = {n: [] for n in SIZES}
        for n in SIZES:
            command = [sys.executable, SYNTHETIC, storage, f"of-{n}", f"--trials={n}", "--seeds=5"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for _ in range(rounds):
            for n in SIZES:
                best[n].append(_sweep("best", f"of-{n}", "--json", "--storage", storage))
                plot[n].append(_sweep("plot", f"of-{n}", "--storage", storage))
    rows: list[Row] = [
        {
            "trials": f"{n:,}",
            "`sweep best`, s": Spread.of(run.seconds for run in best[n]),
            "`sweep plot`, s": Spread.of(run.seconds for run in plot[n]),
        }
        for n in SIZES
    ]
    best_of_10k = Spread.of(run.seconds for run in best[10_000]).median
    plots_of_1k = Spread.of(run.seconds for run in plot[1_000]).median
    return Section(
        "Analysis",
        "Whole commands on ledgers of trials of up to 15 epochs, confirmed with five seeds.",
        [rows],
        [
            Target("the best of 10,000 trials", best_of_10k, 3, " s"),
            Target("all pictures of 1,000 trials", plots_of_1k, 20, " s"),
        ],
    )


def _sweep(*arguments: str) -> Measured:
    return run_command([sys.executable, "-m", "sweep", *arguments])
