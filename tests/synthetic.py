"""Writes sweeps that never ran, with numbers as real ones have them.

From the shell: `python tests/synthetic.py STORAGE NAME --trials 1000 --seeds 5`.
"""

import argparse
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.records.confirmation import (
    Arm,
    Confirmation,
    ConfirmationBegun,
    ConfirmationRecord,
    RunEnded,
    RunEpoch,
    read_confirmation,
)
from analysis.records.files import CONFIRMATION_FILE, LEDGER_FILE
from analysis.records.ledger import (
    FORMAT,
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
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder, LocalFolder
from analysis.storage.journal import encode_record

BEGIN = 1_800_000_000.0
N_TEST = 10_000
HAND_TUNED = {"dropout": 0.25, "rotation": 10.0, "shift": 0.05, "weight_decay": 0.001}
PLAIN = dict.fromkeys(HAND_TUNED, 0.0)
CLASSIC: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 0.01,
    "schedule": "constant",
    "warmup_epochs": 0,
    "momentum": 0.9,
    "nesterov": False,
}
DECAYING = CLASSIC | {"schedule": "linear", "warmup_epochs": 1, "nesterov": True}
SPACE = {
    "dropout": {"low": 0.0, "high": 0.5},
    "rotation": {"low": 0.0, "high": 30.0},
    "shift": {"low": 0.0, "high": 0.15},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
}
RATE = {"learning_rate": {"low": 0.005, "high": 0.2, "log": True}}


@dataclass(frozen=True)
class Search:
    """What a synthetic search is like; `n_running` trials are cut off at its end."""

    n_trials: int = 32
    epochs: int = 15
    seed: int = 0
    name: str = "synthetic"
    decaying: bool = False
    scheduler: str = "asha"
    slots: int = 2
    failure_rate: float = 0.02
    n_running: int = 0

    @property
    def config(self) -> dict[str, Any]:
        recipe = dict(DECAYING if self.decaying else CLASSIC)
        if self.decaying:
            del recipe["learning_rate"]
        return {
            "model": "lenet5",
            "seed": self.seed,
            "trials": self.n_trials,
            "epochs": self.epochs,
            "recipe": recipe,
            "space": SPACE | (RATE if self.decaying else {}),
            "initial_points": [HAND_TUNED | ({"learning_rate": 0.01} if self.decaying else {})],
            "searcher": "tpe",
            "scheduler": {"name": self.scheduler, "grace_period": 3, "reduction_factor": 3},
            "resources": {"cpu": 1, "gpu": 0},
            "confirm": {"top_k": 1, "seeds": 5},
        }


def error_rate(hyperparameters: dict[str, Any], *, decaying: bool) -> float:
    """The error that training arrives at: 0.75 % hand-tuned, 0.6 % at best, 1.1 % plain."""
    decay = np.log10(max(hyperparameters["weight_decay"], 1e-6))
    error = 0.0060 - 0.0010 * decaying
    error += 0.012 * (hyperparameters["dropout"] - 0.06) ** 2
    error += 0.0035 * (hyperparameters["rotation"] / 30 - 0.37) ** 2
    error += 0.25 * (hyperparameters["shift"] - 0.065) ** 2
    error += 0.0003 * max(abs(decay + 3.3) - 0.3, 0) ** 2
    rate = np.log10(hyperparameters.get("learning_rate", 0.01) / 0.045)
    return float(error + 0.0012 * decaying * rate**2)


def curve(
    error: float, epochs: int, rng: np.random.Generator, *, decaying: bool
) -> dict[str, np.ndarray]:
    """The metrics of a run, float64 [epochs] each; "accuracy" and "loss" are held out."""
    t = np.arange(1, epochs + 1)
    shape = 0.016 * t**-1.1 * (1 - (t - 1) / max(epochs - 1, 1) * decaying)
    jump = 0.0010 * ((1 - t / (epochs + 1)) if decaying else 1) * rng.standard_normal(epochs)
    lasting = 0.0004 * rng.standard_normal()
    wrong = np.clip(error + shape + lasting + jump * 0.8, 0.002, 0.9)
    train = np.clip(1.6 * error + 4 * shape + 0.0005 * rng.standard_normal(epochs), 0.001, 1)
    seconds = 4.5 * np.exp(0.04 * rng.standard_normal(epochs))
    return {
        "accuracy": np.round((1 - wrong) * N_TEST) / N_TEST,
        "loss": 3.1 * wrong * np.exp(0.03 * rng.standard_normal(epochs)),
        "train_accuracy": 1 - train,
        "train_loss": 3.3 * train,
        "seconds": seconds,
        "images_per_s": 50_000 / (0.93 * seconds),
    }


def search_records(search: Search) -> Iterator[Record]:
    """The records of a search, in the order of time, `slots` trials at once."""
    rng = np.random.default_rng(search.seed)
    yield SweepCreated(BEGIN, FORMAT, search.name, search.config)
    yield SessionStarted(BEGIN + 0.5, "laptop", 4242, search.slots)
    free = [(BEGIN + 3.0 + 0.1 * slot, slot) for slot in range(search.slots)]
    rungs: dict[int, list[float]] = {3: [], 9: []} if search.scheduler == "asha" else {}
    events: list[tuple[float, int, Record]] = []
    for trial_id in range(1, search.n_trials + 1):
        time, slot = heapq.heappop(free)
        while events and events[0][0] <= time:
            yield heapq.heappop(events)[2]
        for record in _trial_records(search, trial_id, time, rungs, rng):
            heapq.heappush(events, (record.time, len(events) + 1000 * trial_id, record))
            time = record.time
        heapq.heappush(free, (time + 0.06, slot))
    while events:
        last, _, record = heapq.heappop(events)
        yield record
    if not search.n_running:
        yield SessionEnded(last + 0.2, "finished")


def _trial_records(
    search: Search,
    trial_id: int,
    time: float,
    rungs: dict[int, list[float]],
    rng: np.random.Generator,
) -> Iterator[Record]:
    values = _draw(search, trial_id, rng)
    yield TrialStarted(time, trial_id, int(rng.integers(2**31)), values)
    error = error_rate(values, decaying=search.decaying)
    metrics = curve(error, search.epochs, rng, decaying=search.decaying)
    cut_in = 2 if trial_id > search.n_trials - search.n_running else 0
    fails = not cut_in and rng.random() < search.failure_rate
    fails_in = int(rng.integers(1, 4)) if fails else 0
    for epoch in range(1, search.epochs + 1):
        time += float(metrics["seconds"][epoch - 1]) + 0.01
        if epoch == fails_in:
            reason = f"training loss became nan in epoch {epoch}"
            yield Notice(time, trial_id, f"trial {trial_id} failed: {reason}")
            yield TrialEnded(time, trial_id, "FAILED", reason)
            return
        at = {name: float(values[epoch - 1]) for name, values in metrics.items()}
        yield EpochRecord(
            time=time,
            trial_id=trial_id,
            epoch=epoch,
            train_loss=at["train_loss"],
            train_accuracy=at["train_accuracy"],
            val_loss=at["loss"],
            val_accuracy=at["accuracy"],
            seconds=at["seconds"],
            images_per_s=at["images_per_s"],
        )
        if epoch == cut_in:
            return
        if epoch in rungs and epoch < search.epochs:
            others = rungs[epoch]
            others.append(at["accuracy"])
            if at["accuracy"] < np.percentile(others, 200 / 3):
                yield TrialEnded(time + 0.01, trial_id, "STOPPED", None)
                return
    yield TrialEnded(time + 0.01, trial_id, "COMPLETE", None)


def _draw(search: Search, trial_id: int, rng: np.random.Generator) -> dict[str, Any]:
    """Hyperparameters: the first point, then draws that close in on the good ones."""
    if trial_id == 1:
        return dict(search.config["initial_points"][0])
    good = {"dropout": 0.06, "rotation": 11.0, "shift": 0.065, "weight_decay": 5e-4}
    good["learning_rate"] = 0.045
    values = {}
    for name, bounds in search.config["space"].items():
        logarithmic = bounds.get("log", False)
        low, high, aim = (
            np.log(x) if logarithmic else x for x in (bounds["low"], bounds["high"], good[name])
        )
        value = rng.uniform(low, high)
        if trial_id > 10 and rng.random() < 0.7:
            value = np.clip(rng.normal(aim, 0.15 * (high - low)), low, high)
        values[name] = float(np.exp(value) if logarithmic else value)
    return values


def write_search(folder: Folder, search: Search) -> Ledger:
    """Writes the ledger of a search into `folder` and reads it back."""
    folder.write(LEDGER_FILE, b"".join(map(encode_record, search_records(search))))
    return read_ledger(folder)


@dataclass(frozen=True)
class Confirming:
    """What a synthetic confirmation is like.

    `gain` is by how much the first finalist is better than the reference, `spread` the
    standard deviation over seeds; the run `fails`, an arm and a seed, fails in epoch 2.
    """

    n_seeds: int = 5
    top_k: int = 1
    gain: float = 0.0012
    spread: float = 0.0004
    seed: int = 1
    fails: tuple[str, int] | None = None
    predictions: bool = True


def confirmation_records(ledger: Ledger, confirming: Confirming) -> Iterator[ConfirmationRecord]:
    """The records of a confirmation of a search: arms, then runs one after another."""
    rng = np.random.default_rng(confirming.seed)
    epochs = ledger.config["epochs"]
    time = BEGIN + 100_000
    yield ConfirmationBegun(time, 1, ledger.name, epochs)
    arms = list(_arms(ledger, confirming, time, epochs))
    yield from (arm for arm, _ in arms)
    for seed in range(1001, 1001 + confirming.n_seeds):
        common = 0.3 * confirming.spread * rng.standard_normal()
        for arm, error in arms:
            own = 0.95 * confirming.spread * rng.standard_normal()
            decaying = arm.hyperparameters["schedule"] == "linear"
            metrics = curve(error, epochs, rng, decaying=decaying)
            metrics["accuracy"][-1] = np.round((1 - error - common - own) * N_TEST) / N_TEST
            for epoch in range(1, epochs + 1):
                at = {name: float(values[epoch - 1]) for name, values in metrics.items()}
                time += at["seconds"] * 1.2
                if confirming.fails == (arm.arm, seed) and epoch == 2:
                    reason = "training loss became nan in epoch 2"
                    yield RunEnded(time, arm.arm, seed, "FAILED", reason)
                    break
                yield RunEpoch(
                    time=time,
                    arm=arm.arm,
                    seed=seed,
                    epoch=epoch,
                    train_loss=at["train_loss"],
                    train_accuracy=at["train_accuracy"],
                    test_loss=at["loss"],
                    test_accuracy=at["accuracy"],
                    seconds=at["seconds"] * 1.2,
                    images_per_s=at["images_per_s"],
                )
            else:
                yield RunEnded(time, arm.arm, seed, "COMPLETE", None)


def _arms(
    ledger: Ledger, confirming: Confirming, time: float, epochs: int
) -> Iterator[tuple[Arm, float]]:
    """The arms, each with the error that its runs arrive at."""
    decaying = ledger.config["recipe"]["schedule"] == "linear"
    reference = 0.0057 if decaying else 0.0075
    preset = "best" if decaying else "classic"
    for rank, selection in enumerate(rank_trials(ledger)[: confirming.top_k]):
        trial = selection.trial
        values = ledger.config["recipe"] | trial.hyperparameters
        which = "best" if rank == 0 else f"number {rank + 1}"
        title = f"{which} of {preset} (trial {trial.trial_id})"
        yield (
            Arm(
                time=time,
                arm=f"finalist-{rank + 1}",
                title=title,
                role="finalist",
                model="lenet5",
                trial_id=trial.trial_id,
                hyperparameters=values,
                epochs=epochs,
                reference=False,
            ),
            reference - confirming.gain + 0.0002 * rank,
        )
    own = {"learning_rate": 0.01} | ledger.config["recipe"] | HAND_TUNED
    baselines: list[tuple[str, str, str, dict[str, Any], float]] = [
        ("hand-tuned", "hand-tuned LeNet-5", "lenet5", CLASSIC | HAND_TUNED, 0.0075),
        ("lenet5", "plain LeNet-5", "lenet5", CLASSIC | PLAIN, 0.0106),
        ("mlp", "CustomMLP", "mlp", CLASSIC | PLAIN, 0.0205),
    ]
    if decaying:
        title = "hand-tuned LeNet-5, recipe of best"
        baselines.insert(0, ("hand-tuned-own-recipe", title, "lenet5", own, reference))
    for name, title, model, values, error in baselines:
        yield (
            Arm(
                time=time,
                arm=name,
                title=title,
                role="baseline",
                model=model,
                trial_id=None,
                hyperparameters=values,
                epochs=epochs,
                reference=name.startswith("hand-tuned"),
            ),
            error,
        )


def write_confirmed(folder: Folder, ledger: Ledger, confirming: Confirming) -> Confirmation:
    """Writes a confirmation of the search in `folder`, with predictions, and reads it back."""
    records = map(encode_record, confirmation_records(ledger, confirming))
    folder.write(CONFIRMATION_FILE, b"".join(records))
    confirmation = read_confirmation(folder)
    assert confirmation is not None
    if confirming.predictions:
        _write_predictions(folder, confirmation, np.random.default_rng(confirming.seed))
    return confirmation


def _write_predictions(
    folder: Folder, confirmation: Confirmation, rng: np.random.Generator
) -> None:
    """Writes predictions that agree with the test accuracies; hard images are hard for all."""
    labels = rng.integers(0, 10, N_TEST).astype(np.uint8)
    difficulty = 2.2 * rng.gumbel(size=N_TEST)
    confusion = ((labels + rng.integers(1, 10, N_TEST)) % 10).astype(np.uint8)
    missed = np.zeros(N_TEST, bool)
    for arm in confirmation.arms:
        for seed, accuracy in confirmation.test_accuracies(arm).items():
            n_wrong = round((1 - accuracy) * N_TEST)
            order = np.argsort(-(difficulty + 0.8 * rng.gumbel(size=N_TEST)))
            wrong = order[:n_wrong]
            predicted = labels.copy()
            predicted[wrong] = confusion[wrong]
            confidence = 1 - 0.02 * rng.beta(0.3, 3, N_TEST)
            confidence[order[: 4 * n_wrong]] = rng.uniform(0.5, 1, 4 * n_wrong)
            missed[wrong] = True
            save_predictions(
                folder, arm, seed, Predictions(predicted, confidence.astype(np.float16), labels)
            )
    indices = np.flatnonzero(missed).astype(np.int32)
    images = np.stack([_digit(labels[i], rng) for i in indices])
    save_images(folder, ShownImages(indices, images))


def _digit(label: int, rng: np.random.Generator) -> np.ndarray:
    """Something to look at: a ring of as many beads as the digit says, uint8 [28, 28]."""
    y, x = np.mgrid[:28, :28]
    image = np.zeros((28, 28))
    turn = rng.uniform(0, 1)
    for angle in 2 * np.pi * (np.arange(label) / max(label, 1) + turn):
        distance = (x - 14 - 8 * np.cos(angle)) ** 2 + (y - 14 - 8 * np.sin(angle)) ** 2
        image += np.exp(-distance / 4)
    return (255 * np.clip(image, 0, 1)).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("storage", type=Path)
    parser.add_argument("name")
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--scheduler", choices=["asha", "none"], default="asha")
    parser.add_argument("--decaying", action="store_true", help="the recipe of `best`")
    parser.add_argument("--running", type=int, default=0, help="trials cut off at the end")
    parser.add_argument("--seeds", type=int, default=0, help="of the confirmation; 0: none")
    parser.add_argument("--top-k", type=int, default=1)
    parser.add_argument("--gain", type=float, default=0.0012)
    given = parser.parse_args()
    folder = LocalFolder(given.storage).child(given.name)
    search = Search(
        n_trials=given.trials,
        epochs=given.epochs,
        name=given.name,
        decaying=given.decaying,
        scheduler=given.scheduler,
        n_running=given.running,
    )
    ledger = write_search(folder, search)
    if given.seeds:
        confirming = Confirming(n_seeds=given.seeds, top_k=given.top_k, gain=given.gain)
        write_confirmed(folder, ledger, confirming)


if __name__ == "__main__":
    main()
