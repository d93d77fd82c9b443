"""The comparison of sweeps: no engine at all, `train_epochs` in two forked processes."""

import multiprocessing

import numpy as np
import torch

from analysis.records.seeds import trial_seed
from arms.marks import mark
from arms.problem import (
    EPOCHS,
    GRACE_PERIOD,
    N_TRIALS,
    REDUCTION_FACTOR,
    WORKERS,
    draw_points,
    load_images,
    with_recipe,
)
from sweep.training.loop import TrainingRun, train_epochs

RUNGS = [rung for rung in (GRACE_PERIOD * REDUCTION_FACTOR**k for k in range(9)) if rung < EPOCHS]


def train_trial(number: int) -> int:
    """Trains a trial until successive halving stops it; returns how many epochs it ran."""
    torch.set_num_threads(1)
    hyperparameters = with_recipe(points[number])
    run = TrainingRun.start("lenet5", hyperparameters, seed=trial_seed(0, number + 1))
    mark("began")
    for metrics in train_epochs(run, train, validation, epochs=EPOCHS):
        if metrics.epoch in RUNGS and is_too_bad(metrics.epoch, metrics.val_accuracy):
            break
    return len(run.history)


def is_too_bad(rung: int, accuracy: float) -> bool:
    """As Ray's ASHA does it: below the best third of those that came here before."""
    with lock:
        others = reached[rung]
        reached[rung] = [*others, accuracy]
    return bool(others) and accuracy < np.percentile(others, 100 * (1 - 1 / REDUCTION_FACTOR))


if __name__ == "__main__":
    points = draw_points()
    train, validation = load_images()
    fork = multiprocessing.get_context("fork")
    with fork.Manager() as manager:
        lock, reached = manager.Lock(), manager.dict({rung: [] for rung in RUNGS})
        mark("started")
        with fork.Pool(WORKERS) as pool:
            epochs = pool.map(train_trial, range(N_TRIALS), chunksize=1)
        mark("done", epochs=sum(epochs), trials=len(epochs))
