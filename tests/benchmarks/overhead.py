"""What a trial costs that trains nothing."""

from measuring import Measured, Spread, run_arm
from results import Row, Section, Target

SIZES = (100, 1_000, 10_000)
N_RAY = 24  # about two seconds each


def measure(rounds: int) -> Section:
    """Each size here once, but the smallest in turn with the peers, every round."""
    here: list[Measured] = []
    ray, optuna = [], []
    for _ in range(rounds):
        here.append(run_arm("trivial_ours", SIZES[0]))
        ray.append(run_arm("trivial_ray", N_RAY))
        optuna.append(run_arm("trivial_optuna", SIZES[1]))
    large = {n: run_arm("trivial_ours", n) for n in SIZES[1:]}
    rows: list[Row] = [
        _row("Optuna alone, one process, no epochs", SIZES[1], optuna),
        _row("Ray Tune's defaults", N_RAY, ray),
        _row("this project", SIZES[0], here),
        *(_row("this project", n, [run]) for n, run in large.items()),
    ]
    kib = [_driver_bytes(run) / 1024 for run in large.values()]
    kib_a_trial = (kib[1] - kib[0]) / (SIZES[2] - SIZES[1])
    return Section(
        "Overhead",
        "Trials that train nothing (here: one step on one image), two at a time, random search; "
        "from the first epoch's begin to the last result. Here with ledger and checkpoints.",
        [rows],
        [
            Target("a trial of 1,000", _ms_a_trial(large[SIZES[1]], SIZES[1]), 80, " ms"),
            Target("a trial of 10,000", _ms_a_trial(large[SIZES[2]], SIZES[2]), 80, " ms"),
            Target("the driver's memory a trial", kib_a_trial, 20, " KiB"),
        ],
    )


def _row(name: str, n_trials: int, runs: list[Measured]) -> Row:
    return {
        "": name,
        "trials": n_trials,
        "ms a trial": Spread.of(_ms_a_trial(run, n_trials) for run in runs),
        "s to the first epoch": Spread.of(run.marks["began"]["after"] for run in runs),
        "driver's memory, MiB": Spread.of(_driver_bytes(run) / 2**20 for run in runs),
    }


def _ms_a_trial(run: Measured, n_trials: int) -> float:
    assert run.marks["done"]["trials"] == n_trials
    return 1000 * (run.seconds - run.marks["began"]["after"]) / n_trials


def _driver_bytes(run: Measured) -> int:
    return int(run.marks["done"]["rss"])
