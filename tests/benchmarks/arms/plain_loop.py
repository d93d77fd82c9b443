"""The comparison of sweeps: no engine, only `train_epochs` in two forked processes."""

import multiprocessing

import numpy as np
import torch

from analysis.hyperparameters import complete
from analysis.records.seeds import trial_seed
from analysis.results.rungs import rungs
from arms.marks import mark
from arms.problem import EPOCHS, HALVING, N_TRIALS, WORKERS, draw_points, load_images
from sweep.training.loop import TrainingRun, train_epochs

RUNGS = rungs(**HALVING, epochs=EPOCHS)


def train_trial(number: int) -> int:
    """Train a trial until successive halving stops it; return how many epochs it ran."""
    torch.set_num_threads(1)
    run = TrainingRun("lenet5", complete(points[number]), seed=trial_seed(0, number + 1))
    mark("began")
    for epoch in train_epochs(run, train, validation, epochs=EPOCHS):
        if epoch.epoch in RUNGS and is_too_bad(epoch.epoch, epoch.val_accuracy):
            break
    return len(run.history)


def is_too_bad(rung: int, accuracy: float) -> bool:
    """Decide as Ray's ASHA: stop below the best third of those that reached the rung before."""
    with lock:
        others = reached[rung]
        reached[rung] = [*others, accuracy]
    percentile = 100 * (1 - 1 / HALVING["reduction_factor"])
    return bool(others) and accuracy < np.percentile(others, percentile)


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
