"""The same 16 trials by this project and by what a user would otherwise write."""

import tempfile
from pathlib import Path

from arms.problem import EPOCHS, N_TRAIN, N_TRIALS, N_VALIDATION, write_images
from data_utils.mnist import load_mnist
from measuring import Measured, Spread, run_arm
from results import Row, Section, Target

OURS, LOOP, EXAMPLE = "this project", "a plain loop over `train_epochs`", "Ray Tune, its example"
ARMS = {
    OURS: "ours",
    LOOP: "plain_loop",
    "Ray Tune's defaults, this training": "ray_defaults",
    EXAMPLE: "ray_example",
    "Optuna, its example": "optuna_example",
    "Syne Tune, Python backend": "syne_tune_backend",
}


def measure(rounds: int) -> Section:
    """Run the arms in turn, each round in another order."""
    measured: dict[str, list[Measured]] = {name: [] for name in ARMS}
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), load_mnist().train.take(range(N_TRAIN + N_VALIDATION)))
        for n in range(rounds):
            names = list(ARMS)
            for name in names[n % len(names) :] + names[: n % len(names)]:
                run = run_arm(ARMS[name], folder)
                assert run.marks["done"]["trials"] == N_TRIALS, name
                measured[name].append(run)
                print(f"  round {n + 1}: {name}: {run.seconds:.0f} s", flush=True)
    ours = measured[OURS]
    rows: list[Row] = [
        {
            "": name,
            "wall time, s": Spread.of(run.seconds for run in runs),
            "times ours": Spread.of_ratios(
                [run.seconds for run in runs], [own.seconds for own in ours]
            ),
            "core-seconds": Spread.of(run.cpu_seconds for run in runs),
            "epochs trained": Spread.of(_epochs(run) for run in runs),
            "s to the first epoch": Spread.of(run.marks["began"]["after"] for run in runs),
            "s per epoch from then on": Spread.of(map(_s_per_epoch, runs)),
        }
        for name, runs in measured.items()
    ]
    over_example = Spread.of_ratios(
        [run.seconds for run in measured[EXAMPLE]], [own.seconds for own in ours]
    )
    over_loop = Spread.of_ratios(map(_s_per_epoch, ours), map(_s_per_epoch, measured[LOOP]))
    return Section(
        "Sweep",
        f"{N_TRIALS} trials of up to {EPOCHS} epochs on {N_TRAIN:,} images, the same "
        "hyperparameters in every arm, two at a time, one thread each, stopped early by the "
        "arm's own successive halving; from the command to the last result. Medians of "
        f"{rounds} rounds in turn, with their range.",
        [rows],
        [
            Target("Ray Tune's example over this project", over_example.median, 5, "×", True),
            Target("an epoch here over one of the plain loop", over_loop.median, 1.03, "×"),
        ],
    )


def _epochs(run: Measured) -> int:
    return int(run.marks["done"]["epochs"])


def _s_per_epoch(run: Measured) -> float:
    return (run.seconds - run.marks["began"]["after"]) / _epochs(run)
