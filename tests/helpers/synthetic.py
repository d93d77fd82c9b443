"""Writes sweeps that never ran: real configs, arms and seeds, with invented measurements.

From the shell: `python tests/helpers/synthetic.py STORAGE NAME --trials 1000 --seeds 5`.
"""

import argparse
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.random import Generator, default_rng

from analysis.records.confirmation import (
    Arm,
    Confirmation,
    ConfirmationBegun,
    ConfirmationRecord,
    RunEnded,
    RunEpoch,
)
from analysis.records.epochs import Epoch
from analysis.records.files import CONFIRMATION_FILE, LEDGER_FILE
from analysis.records.ledger import (
    DIVERGED,
    EpochRecord,
    Ledger,
    Notice,
    Record,
    SessionEnded,
    SessionStarted,
    SweepCreated,
    TrialEnded,
    TrialStarted,
    read_ledger,
)
from analysis.records.predictions import Predictions, ShownImages, save_images, save_predictions
from analysis.records.seeds import confirmation_seeds, trial_seed
from analysis.results.rungs import rungs
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from analysis.storage.journal import FORMAT, encode_record
from analysis.storage.local_folder import LocalFolder
from sweep.config import SweepConfig
from sweep.config.resolve import resolve_config
from sweep.driver.arms import plan_arms

BEGIN = 1_800_000_000.0
N_TEST = 10_000
SLOTS = 2
SPREAD = 0.0004  # standard deviation of the accuracy over seeds
GOOD = {
    "dropout": 0.06,
    "rotation": 11.0,
    "shift": 0.065,
    "weight_decay": 5e-4,
    "learning_rate": 0.045,
}


@dataclass(frozen=True)
class Search:
    """A synthetic search with the preset `classic`, or `best` if `decaying`.

    The last `n_running` trials are cut off in their second epoch, and the search with them.
    """

    n_trials: int = 32
    epochs: int = 15
    seed: int = 0
    name: str = "synthetic"
    decaying: bool = False
    scheduler: str = "asha"
    failure_rate: float = 0.02
    n_running: int = 0

    @cached_property
    def config(self) -> SweepConfig:
        return resolve_config(
            preset="best" if self.decaying else "classic",
            settings=[f"scheduler={self.scheduler}"],
            trials=self.n_trials,
            epochs=self.epochs,
            seed=self.seed,
        )


def error_rate(hyperparameters: dict[str, Any]) -> float:
    """Return the error at the end of a training, as a fraction; a decaying rate lowers it."""
    is_decaying = hyperparameters["schedule"] == "linear"
    decay = np.log10(max(hyperparameters["weight_decay"], 1e-6))
    error = 0.0060 - 0.0010 * is_decaying
    error += 0.012 * (hyperparameters["dropout"] - GOOD["dropout"]) ** 2
    error += 0.0035 * (hyperparameters["rotation"] / 30 - 0.37) ** 2
    error += 0.25 * (hyperparameters["shift"] - GOOD["shift"]) ** 2
    error += 0.0003 * max(abs(decay + 3.3) - 0.3, 0) ** 2
    rate = np.log10(hyperparameters["learning_rate"] / GOOD["learning_rate"])
    return float(error + 0.0012 * is_decaying * rate**2)


def train(error: float, n_epochs: int, rng: Generator, *, is_decaying: bool) -> list[Epoch]:
    """Return the epochs of a training that ends near an error."""
    t = np.arange(1, n_epochs + 1)
    shape = 0.016 * t**-1.1 * (1 - (t - 1) / max(n_epochs - 1, 1) * is_decaying)
    jump = 0.0008 * ((1 - t / (n_epochs + 1)) if is_decaying else 1) * rng.normal(size=n_epochs)
    lasting = 0.0004 * rng.standard_normal()
    wrong = np.clip(error + shape + lasting + jump, 0.002, 0.9)
    train = np.clip(1.6 * error + 4 * shape + 0.0005 * rng.normal(size=n_epochs), 0.001, 1)
    seconds = 4.5 * np.exp(0.04 * rng.normal(size=n_epochs))
    columns = (
        3.3 * train,
        1 - train,
        3.1 * wrong * np.exp(0.03 * rng.normal(size=n_epochs)),
        np.round((1 - wrong) * N_TEST) / N_TEST,
        seconds,
        50_000 / (0.93 * seconds),
    )
    return [Epoch(i, *row) for i, row in enumerate(np.stack(columns, 1).tolist(), start=1)]


def search_records(search: Search) -> Iterator[Record]:
    """Yield the records of a search in the order of time."""
    rng = default_rng(search.seed)
    yield SweepCreated(BEGIN, FORMAT, search.name, search.config.model_dump(mode="json"))
    yield SessionStarted(BEGIN + 0.5, "laptop", 4242, SLOTS)
    free = [BEGIN + 3.0 + 0.1 * slot for slot in range(SLOTS)]
    scheduler = search.config.scheduler
    grace_period = scheduler.grace_period if scheduler.name == "asha" else search.epochs
    stops = rungs(grace_period, scheduler.reduction_factor, search.epochs)
    reached: dict[int, list[float]] = {epoch: [] for epoch in stops}
    records: list[Record] = []
    for trial_id in range(1, search.n_trials + 1):
        records += _trial_records(search, trial_id, heapq.heappop(free), reached, rng)
        heapq.heappush(free, records[-1].time + 0.06)
    records.sort(key=lambda record: record.time)
    yield from records
    if not search.n_running:
        yield SessionEnded(records[-1].time + 0.2, "finished")


def _trial_records(
    search: Search, trial_id: int, time: float, reached: dict[int, list[float]], rng: Generator
) -> Iterator[Record]:
    """Yield the records of a trial; `reached` has the accuracies of earlier ones by rung."""
    config = search.config
    draw = _draw(config, trial_id, rng)
    yield TrialStarted(time, trial_id, trial_seed(search.seed, trial_id), draw)
    error = error_rate(config.hyperparameters(draw))
    is_running = trial_id > search.n_trials - search.n_running
    fails_in = int(rng.integers(1, 4)) if rng.random() < search.failure_rate else 0
    for epoch in train(error, search.epochs, rng, is_decaying=search.decaying):
        time += epoch.seconds + 0.01
        if epoch.epoch == fails_in and not is_running:
            reason = f"{DIVERGED}: training loss became nan in epoch {fails_in}"
            yield Notice(time, trial_id, f"trial {trial_id} failed: {reason}")
            yield TrialEnded(time, trial_id, "FAILED", reason)
            return
        yield EpochRecord.of(time, trial_id, epoch)
        if is_running and epoch.epoch == 2:
            return
        if (others := reached.get(epoch.epoch)) is not None:
            others.append(epoch.val_accuracy)
            if epoch.val_accuracy < np.percentile(others, 200 / 3):
                yield TrialEnded(time + 0.01, trial_id, "STOPPED", None)
                return
    yield TrialEnded(time + 0.01, trial_id, "COMPLETE", None)


def _draw(config: SweepConfig, trial_id: int, rng: Generator) -> dict[str, Any]:
    """Return hyperparameters: first the initial points, then more and more good ones."""
    values = {}
    for name, dimension in config.space.items():
        to, back = (np.log, np.exp) if dimension.log else (float, float)
        low, high, aim = to(dimension.low), to(dimension.high), to(GOOD[name])
        value = rng.uniform(low, high)
        if trial_id > 10 and rng.random() < 0.7:
            value = rng.normal(aim, 0.15 * (high - low))
        values[name] = float(np.clip(back(value), dimension.low, dimension.high))
    is_given = trial_id <= len(config.initial_points)
    return {**values, **config.initial_points[trial_id - 1]} if is_given else values


def write_search(folder: Folder, search: Search) -> Ledger:
    """Write the ledger of a search into `folder` and read it back."""
    folder.write(LEDGER_FILE, b"".join(map(encode_record, search_records(search))))
    return read_ledger(folder)


def confirmation_records(
    ledger: Ledger, n_seeds: int, top_k: int, fails_in: str
) -> Iterator[ConfirmationRecord]:
    """Yield the records of a confirmation: arms, then runs one after another.

    Of the arm `fails_in` the run of the first seed fails in its second epoch.
    """
    config = SweepConfig.model_validate(ledger.config)
    rng = default_rng(1)
    time = BEGIN + 100_000
    yield ConfirmationBegun(time, FORMAT, ledger.name, config.epochs)
    arms = plan_arms(config, rank_trials(ledger)[:top_k], ledger.trials.get(1))
    yield from (replace(arm, time=time) for arm in arms)
    seeds = confirmation_seeds(config.seed, n_seeds)
    for seed in seeds:
        common = 0.3 * SPREAD * rng.standard_normal()
        for rank, arm in enumerate(arms):
            error = _test_error(arm, rank)
            own = 0.95 * SPREAD * rng.standard_normal()
            is_decaying = arm.hyperparameters["schedule"] == "linear"
            epochs = train(error, config.epochs, rng, is_decaying=is_decaying)
            accuracy = round((1 - error - common - own) * N_TEST) / N_TEST
            epochs[-1] = replace(epochs[-1], val_accuracy=accuracy)
            fails = (arm.arm, seed) == (fails_in, seeds[0])
            for epoch in epochs[:1] if fails else epochs:
                time += epoch.seconds
                yield RunEpoch.of(time, arm.arm, seed, epoch)
            reason = f"{DIVERGED}: training loss became nan in epoch 2" if fails else None
            yield RunEnded(time, arm.arm, seed, "FAILED" if fails else "COMPLETE", reason)


def _test_error(arm: Arm, rank: int) -> float:
    """Return the mean error of an arm's runs; finalists are first and ranked from 0."""
    reference = 0.0057 if arm.hyperparameters["schedule"] == "linear" else 0.0075
    if arm.reference:
        return reference
    if arm.role == "finalist":
        return reference - 0.0012 + 0.0002 * rank
    return {"lenet5": 0.0106, "mlp": 0.0205}.get(arm.arm, reference)


def write_confirmed(
    folder: Folder,
    ledger: Ledger,
    n_seeds: int = 5,
    *,
    top_k: int = 1,
    fails_in: str = "",
    predictions: bool = True,
) -> Confirmation:
    """Write a confirmation of the search in `folder` and read it back."""
    records = map(encode_record, confirmation_records(ledger, n_seeds, top_k, fails_in))
    folder.write(CONFIRMATION_FILE, b"".join(records))
    confirmation = Confirmation.read(folder)
    assert confirmation is not None
    if predictions:
        _write_predictions(folder, confirmation)
    return confirmation


def _write_predictions(folder: Folder, confirmation: Confirmation) -> None:
    """Write predictions that agree with the test accuracies; hard images are hard for all."""
    rng = default_rng(1)
    labels = rng.integers(0, 10, N_TEST).astype(np.uint8)
    difficulty = 2.2 * rng.gumbel(size=N_TEST)
    confusion = ((labels + rng.integers(1, 10, N_TEST)) % 10).astype(np.uint8)
    missed = np.zeros(N_TEST, bool)
    for arm in confirmation.arms:
        for seed, accuracy in confirmation.test_accuracies(arm).items():
            n_wrong = round((1 - accuracy) * N_TEST)
            order = np.argsort(-(difficulty + 0.8 * rng.gumbel(size=N_TEST)))
            wrong = order[:n_wrong]
            missed[wrong] = True
            predicted = labels.copy()
            predicted[wrong] = confusion[wrong]
            confidence = (1 - 0.02 * rng.beta(0.3, 3, N_TEST)).astype(np.float16)
            confidence[order[: 4 * n_wrong]] = rng.uniform(0.5, 1, 4 * n_wrong)
            save_predictions(folder, arm, seed, Predictions(predicted, confidence, labels))
    indices = np.flatnonzero(missed).astype(np.int32)
    stripes = 9 * labels[indices, None, None] * np.arange(28, dtype=np.uint8)
    save_images(folder, ShownImages(indices, np.repeat(stripes, 28, axis=1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("storage", type=Path)
    parser.add_argument("name")
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=0, help="0: not confirmed")
    given = parser.parse_args()
    folder = LocalFolder(given.storage).child(given.name)
    ledger = write_search(folder, Search(given.trials, name=given.name))
    if given.seeds:
        write_confirmed(folder, ledger, given.seeds)


if __name__ == "__main__":
    main()
