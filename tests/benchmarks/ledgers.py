"""Seconds that commands take on finished sweeps of several sizes."""

import tempfile

from measuring import Spread, time_sweep, write_sweep
from results import Row, Section, Target

SIZES = (100, 1_000, 10_000)


def measure(rounds: int) -> Section:
    """Write synthetic sweeps and time the commands on them in turn."""
    seconds: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as storage:
        for n in SIZES:
            write_sweep(storage, f"of-{n}", f"--trials={n}", "--seeds=5")
        for _ in range(rounds):
            for n in SIZES:
                for command in (["best", "--json"], ["plot"]):
                    taken = time_sweep(*command, f"of-{n}", "--storage", storage)
                    seconds.setdefault((command[0], n), []).append(taken)
    spreads = {key: Spread.of(values) for key, values in seconds.items()}
    rows: list[Row] = [
        {
            "trials": f"{n:,}",
            "`sweep best`, s": spreads["best", n],
            "`sweep plot`, s": spreads["plot", n],
        }
        for n in SIZES
    ]
    return Section(
        "Analysis",
        "Whole commands on ledgers of trials of up to 15 epochs, confirmed with five seeds.",
        [rows],
        [
            Target("the best of 10,000 trials", spreads["best", 10_000].median, 3, " s"),
            Target("all pictures of 1,000 trials", spreads["plot", 1_000].median, 20, " s"),
        ],
    )
