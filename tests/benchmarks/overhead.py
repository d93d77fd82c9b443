"""The cost of a trial that trains nothing."""

from measuring import Measured, Spread, run_arm
from results import Row, Section, Target

SIZES = (100, 1_000, 10_000)
N_RAY = 24  # about two seconds each


def measure(rounds: int) -> Section:
    """Run the smallest size in turn with the other engines, then each larger size once."""
    ours, ray, optuna = [], [], []
    for _ in range(rounds):
        ours.append(run_arm("trivial_ours", SIZES[0]))
        ray.append(run_arm("trivial_ray", N_RAY))
        optuna.append(run_arm("trivial_optuna", SIZES[1]))
    medium, large = (run_arm("trivial_ours", n) for n in SIZES[1:])
    kib_per_trial = (_driver_mib(large) - _driver_mib(medium)) * 1024 / (SIZES[2] - SIZES[1])
    return Section(
        "Overhead",
        "Trials that train nothing (here: one step on one image), two at a time, random search; "
        "from the start of the first epoch to the last result. Here with ledger and checkpoints.",
        [
            [
                _row("Optuna alone, one process, no epochs", optuna),
                _row("Ray Tune's defaults", ray),
                *(_row("this project", runs) for runs in (ours, [medium], [large])),
            ]
        ],
        [
            Target("a trial of 1,000", _ms_per_trial(medium), 80, " ms"),
            Target("a trial of 10,000", _ms_per_trial(large), 80, " ms"),
            Target("the driver's memory per trial", kib_per_trial, 20, " KiB"),
        ],
    )


def _row(name: str, runs: list[Measured]) -> Row:
    return {
        "": name,
        "trials": runs[0].marks["done"]["trials"],
        "ms per trial": Spread.of(map(_ms_per_trial, runs)),
        "s to the first epoch": Spread.of(run.marks["began"]["after"] for run in runs),
        "driver's memory, MiB": Spread.of(map(_driver_mib, runs)),
    }


def _ms_per_trial(run: Measured) -> float:
    done = run.marks["done"]
    return float(1000 * (run.seconds - run.marks["began"]["after"]) / done["trials"])


def _driver_mib(run: Measured) -> float:
    return float(run.marks["done"]["rss"] / 2**20)
