"""Trains a trial again, in this process, where nothing disturbs it."""

import torch
from msgspec.structs import replace

from analysis.records.epochs import Epoch
from analysis.records.ledger import Trial
from data_utils.dataset import TrainTest
from sweep.config import SweepConfig
from sweep.training.loop import TrainingRun, train_epochs


def retrain(config: SweepConfig, trial: Trial, data: TrainTest) -> list[Epoch]:
    """Return the epochs of a trial, trained again with one thread."""
    draw = {name: trial.hyperparameters[name] for name in config.space}
    run = TrainingRun(config.model, config.hyperparameters(draw), seed=trial.seed)
    train, validation = data.split(config.split, config.split_seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return list(train_epochs(run, train, validation, epochs=len(trial.epochs)))
    finally:
        torch.set_num_threads(threads)


def timeless(epochs: list[Epoch]) -> list[Epoch]:
    """Return epochs without what differs from one training to the next."""
    return [replace(epoch, seconds=0.0, images_per_s=0.0) for epoch in epochs]
