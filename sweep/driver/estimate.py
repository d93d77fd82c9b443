"""How long a sweep will take on this machine, from a few measured steps of training."""

import contextlib
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean, median, median_low
from typing import Any

import numpy as np

from analysis.formatting import rough_duration
from analysis.hyperparameters import AUGMENTATIONS, own_arguments
from analysis.records.dataset import MNIST, DataRecord
from analysis.records.ledger import Trial
from analysis.results.budget import read_duration
from analysis.results.selection import Selection
from data_utils.dataset import ImageDataset
from sweep.config import SweepConfig
from sweep.config.dimensions import Choices
from sweep.driver.arms import plan_arms
from sweep.driver.resume import Missing
from sweep.networks import initial_points, spec_of

_START_S = 15.0  # on a slow machine, until Ray has started and its workers have the data


@dataclass(frozen=True)
class Estimate:
    """How long a sweep takes in which nothing is stopped early, in seconds."""

    search_s: float
    confirmation_s: float

    @property
    def total_s(self) -> float:
        """Both together."""
        return self.search_s + self.confirmation_s


@dataclass(frozen=True)
class Speed:
    """The time that one image takes, in seconds, in a training step and in a validation."""

    training_s: float
    validation_s: float


def estimate_time(
    config: SweepConfig, slots: int, data: DataRecord = MNIST, missing: Missing | None = None
) -> Estimate:
    """Estimate the time of a sweep of `slots` trials at a time, or of what is missing from it."""
    draw = _typical_draw(config)
    known: dict[tuple[Any, ...], Speed] = {}

    def epoch_s(model: str, values: Mapping[str, Any], n_training: int, n_other: int) -> float:
        is_augmented = any(values[name] for name in AUGMENTATIONS)
        key = (model, values["batch_size"], is_augmented, *own_arguments(values).values())
        if key not in known:
            device = "cuda" if config.resources.gpu else "cpu"
            known[key] = measure_speed(model, values, device, data)
        return n_training * known[key].training_s + n_other * known[key].validation_s

    values = config.hyperparameters(draw)
    n = config.trials
    trial_s = fmean(config.epochs_of(number, n) for number in range(1, n + 1)) * epoch_s(
        config.model, values, data.n_train - data.n_validation, data.n_validation
    )
    budget_s = None if config.time_budget is None else float(read_duration(config.time_budget))
    if missing is not None:
        n, budget_s = missing.n_trials, missing.budget_s
    search_s = math.ceil(n / slots) * trial_s
    if budget_s is not None:
        search_s = min(search_s, budget_s + trial_s)
    if config.confirm is None:
        return Estimate(_START_S + search_s, 0.0)
    plain = config.model_dump(mode="json")
    made_up = Trial(trial_id=1, seed=0, hyperparameters=draw, started=0.0, config=plain)
    point = next(iter(initial_points(config)), {})
    first = replace(made_up, hyperparameters={**draw, **point})
    arms = plan_arms(config, [Selection(made_up, 1.0)], first)
    arms += arms[:1] * (min(config.confirm.top_k, config.trials) - 1)
    counts = data.n_train, data.n_test
    each = [epoch_s(arm.model, arm.hyperparameters, *counts) for arm in arms]
    n_runs = (config.confirm.max_seeds or config.confirm.seeds) * len(arms)
    if missing is not None and not missing.n_trials:
        n_later = n_runs - missing.n_runs if config.confirm.max_seeds else 0  # after a look
        n_runs = len(missing.runs) + max(0, n_later)
    runs_s = math.ceil(n_runs / slots) * config.epochs * fmean(each)
    return Estimate(_START_S + search_s, runs_s)


def n_training_steps(config: SweepConfig, data: DataRecord) -> int:
    """Return the steps of a trial that runs all its epochs, with batches of a typical size."""
    size: int = config.hyperparameters(_typical_draw(config))["batch_size"]
    return config.epochs * math.ceil((data.n_train - data.n_validation) / size)


def describe_time(config: SweepConfig, found: Estimate) -> str:
    """Return how long a sweep takes, such as `up to about 12 min at the current load`."""
    may_stop = config.scheduler.name == "asha" and config.scheduler.grace_period < config.epochs
    if config.confirm is not None and config.confirm.max_seeds is not None:
        may_stop = True
    total, search, confirmation = map(
        rough_duration, (found.total_s, found.search_s, found.confirmation_s)
    )
    text = f"{'up to ' * may_stop}about {total} at the current load"
    if config.confirm is not None and found.total_s >= 90:  # rounded, shorter parts do not add up
        text += f": search {search}, confirmation {confirmation}"
    return text


def measure_speed(
    model: str, hyperparameters: Mapping[str, Any], device: str, about: DataRecord = MNIST
) -> Speed:
    """Train on random images with one thread, as a trial does, and return the speed.

    It takes a fifth of a second; longer if the first 64 images take longer.
    """
    import torch

    from sweep.training.loop import TrainingRun, train_epochs

    generator = np.random.default_rng(0)
    spec = spec_of(about)
    calm = {**hyperparameters, "learning_rate": 1e-6}  # it must not diverge
    speeds: list[Speed] = []
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a user's network prints
            run = TrainingRun(model, calm, seed=0, device=device, spec=spec)
            for n in (64, 64, 128, 256, 512, 1024, 1024, 1024):
                images = generator.integers(0, 256, (n, *spec.shape), dtype=np.uint8)
                labels = generator.integers(0, len(spec.classes), n, dtype=np.uint16)
                data = ImageDataset(images, labels, spec)
                (epoch,) = train_epochs(run, data, data, epochs=len(speeds) + 1)
                training_s = 1 / epoch.images_per_s
                speeds.append(Speed(training_s, epoch.seconds / n - training_s))
                # The first images warm up; on a GPU, they load libraries.
                spent_s = sum(epoch.seconds for epoch in run.history[1:])
                if spent_s > 0.15 or (device == "cpu" and run.history[0].seconds > 2):
                    break
    finally:
        torch.set_num_threads(n_threads)
    last = speeds[1:][-3:] or speeds
    return Speed(median(s.training_s for s in last), median(s.validation_s for s in last))


def _typical_draw(config: SweepConfig) -> dict[str, Any]:
    return {name: _typical(name, dimension) for name, dimension in config.space.items()}


def _typical(name: str, dimension: Any) -> Any:
    """Return a value that takes a typical time: an augmentation is on, a batch of medium size."""
    if name == "batch_size":
        if isinstance(dimension, Choices):
            return median_low(dimension.choices)
        return round(math.sqrt(dimension.low * dimension.high))
    return dimension.choices[-1] if isinstance(dimension, Choices) else dimension.high
