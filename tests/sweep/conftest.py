import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analysis.hyperparameters import complete
from analysis.records.confirmation import ConfirmationRecord, RunEpoch
from analysis.records.ledger import EpochRecord, Ledger, read_ledger
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from appending import write_journal
from data_utils.dataset import TrainTest
from in_memory import (
    begin_confirmation,
    begin_ledger,
    make_arm,
    run_ended,
    trial_ended,
    trial_started,
)
from sweep.config import SweepConfig

if TYPE_CHECKING:
    from sweep.training.loop import TrainingRun


@pytest.fixture
def make_sweep(add_sweep: Callable[..., Folder]) -> Callable[..., tuple[Folder, Ledger]]:
    """Writes a sweep as `add_sweep` does, and reads it."""

    def make(**search: object) -> tuple[Folder, Ledger]:
        folder = add_sweep(**search)
        return folder, read_ledger(folder)

    return make


@pytest.fixture(scope="session")
def tiny(mnist: TrainTest) -> TrainTest:
    """The first 512 training and 256 test images, for trainings of a few milliseconds."""
    import torch

    torch.set_num_threads(1)
    return TrainTest(mnist.train.take(range(512)), mnist.test.take(range(256)))


@pytest.fixture(scope="session")
def ray_scratch() -> Iterator[Path]:
    """Ray, running on this machine for all tests that need it; its scratch folder."""
    from sweep.tuning.ray_session import ray_session

    with ray_session(address=None, n_cpus=2) as scratch:
        yield scratch


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """This process's environment without what Ray, Tune and the sweep would read in it."""
    prefixes = ("RAY_", "TUNE_", "SWEEP_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return clean | {"RAY_worker_niceness": "0"}  # else tests that compute starve trainings


@pytest.fixture(scope="session")
def tiny_runs(tiny: TrainTest) -> "list[TrainingRun]":
    """Three LeNet-5s that were trained for two epochs on next to nothing."""
    from sweep.training.loop import TrainingRun, train_epochs

    values = {"rotation": 10.0, "shift": 0.05, "weight_decay": 1e-4, "learning_rate": 0.05}
    values |= {"schedule": "linear", "warmup_epochs": 0.1, "nesterov": True}
    runs = [TrainingRun("lenet5", complete(values), seed=seed) for seed in (1, 2, 3)]
    for run in runs:
        list(train_epochs(run, tiny.train, tiny.test, epochs=2))
    return runs


@pytest.fixture
def make_trained(tmp_path: Path, tiny_runs: "list[TrainingRun]") -> Callable[..., Folder]:
    """Writes a sweep `trained` whose trial is the first of the tiny runs.

    Takes the numbers of the runs that confirm it; None is a failed run. Every sweep has a
    storage of its own.
    """

    def make(*confirmed: int | None) -> Folder:
        folder = LocalFolder(Path(tempfile.mkdtemp(dir=tmp_path)) / "trained")
        _write_search(folder, tiny_runs[0])
        if confirmed:
            runs = [None if number is None else tiny_runs[number] for number in confirmed]
            _write_confirmation(folder, tiny_runs[0], runs)
        return folder

    return make


def _write_search(folder: Folder, run: "TrainingRun") -> None:
    from sweep.training.assignment import Assignment
    from sweep.training.checkpoints import Checkpoint

    hyperparameters = dict(run.hyperparameters)
    searched = {name: hyperparameters[name] for name in SweepConfig().space}
    recipe = {k: v for k, v in hyperparameters.items() if k not in searched}
    config = SweepConfig(trials=1, epochs=2, recipe=recipe)
    epochs = [EpochRecord.of(0.0, 1, metrics) for metrics in run.history]
    started = trial_started(1, searched, seed=7)
    write_journal(folder, begin_ledger(config), started, *epochs, trial_ended(1))
    Checkpoint(folder, Assignment("trial-0001", 7, "lenet5", 2, hyperparameters)).save(run)


def _write_confirmation(
    folder: Folder, trial: "TrainingRun", runs: "Sequence[TrainingRun | None]"
) -> None:
    from sweep.training.assignment import Assignment
    from sweep.training.checkpoints import Checkpoint

    values = dict(trial.hyperparameters)
    arm = make_arm("trial-1", "finalist", title="trial 1", trial_id=1, hyperparameters=values)
    records: list[ConfirmationRecord] = [arm]
    for seed, run in zip(confirmation_seeds(0, len(runs)), runs, strict=True):
        if run:
            records += [RunEpoch.of(0.0, "trial-1", seed, metrics) for metrics in run.history]
            name = f"trial-1-seed-{seed}"
            Checkpoint(folder, Assignment(name, seed, "lenet5", 2, values)).save(run)
        records.append(run_ended("trial-1", seed, "COMPLETE" if run else "FAILED"))
    write_journal(folder, begin_confirmation(), *records)
