"""Trains a trial again, in this process, where nothing disturbs it."""

import torch
from msgspec.structs import replace

from analysis.records.epochs import Epoch
from analysis.records.ledger import Trial
from data_utils.dataset import TrainTest, split_train_validation
from sweep.config import SweepConfig
from sweep.training.loop import TrainingRun, train_epochs


def retrain(config: SweepConfig, trial: Trial, data: TrainTest) -> list[Epoch]:
    """Return the epochs of a trial, trained again with one thread; a sixth is for validation."""
    draw = {name: trial.hyperparameters[name] for name in config.space}
    run = TrainingRun(config.model, config.hyperparameters(draw), seed=trial.seed)
    n_validation = len(data.train) // 6
    train, validation = split_train_validation(
        data.train, n_validation, config.split, config.split_seed
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return list(train_epochs(run, train, validation, epochs=len(trial.epochs)))
    finally:
        torch.set_num_threads(threads)


def timeless(epochs: list[Epoch]) -> list[Epoch]:
    """Return epochs without what differs from one training to the next."""
    return [replace(epoch, seconds=0.0, images_per_s=0.0) for epoch in epochs]
