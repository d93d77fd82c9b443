"""A worker: one network trained after another, an epoch a step. It knows no Ray."""

import traceback
from collections.abc import Iterator

import numpy as np
import torch

from analysis.records.epochs import Epoch
from analysis.records.ledger import DIVERGED
from analysis.records.predictions import Predictions
from data_utils.batches import evaluation_batches, to_device
from data_utils.dataset import ImageDataset
from sweep.training.assignment import Assignment, Failure, Report, WorkerSettings
from sweep.training.checkpoints import (
    CheckpointError,
    CheckpointWriteError,
    load_checkpoint,
    save_checkpoint,
)
from sweep.training.evaluation import predict_probabilities
from sweep.training.loop import DivergenceError, TrainingRun, train_epochs


class Worker:
    """Trains what is assigned to it.

    A step never raises: what goes wrong in a training is the same at every try, so it is
    reported as its end.

    Args:
        train: Images to learn from.
        evaluation: Images to measure each epoch on.
        settings: What all its trainings share.
    """

    def __init__(
        self, train: ImageDataset, evaluation: ImageDataset, settings: WorkerSettings
    ) -> None:
        torch.set_num_threads(1)  # the numbers depend on it, and other cores have other trials
        self._train, self._evaluation, self._settings = train, evaluation, settings

    def assign(self, assignment: Assignment) -> None:
        """Prepares the next training; its work, and so what can fail, begins with a step."""
        self._assignment = assignment
        self._reports = self._reports_of_training()

    def step(self) -> Report:
        """Trains one epoch."""
        try:
            return next(self._reports)
        except DivergenceError as error:
            failure = Failure(f"{DIVERGED}: {error}")
        except CheckpointWriteError as error:
            failure = Failure(str(error), is_storage=True)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            failure = Failure(reason, traceback.format_exc())
        return Report(epoch=None, failure=failure)

    def _reports_of_training(self) -> Iterator[Report]:
        settings, assignment = self._settings, self._assignment
        run = TrainingRun.start(
            assignment.model,
            assignment.hyperparameters,
            seed=assignment.seed,
            device=settings.device,
        )
        notice = None
        try:
            state = load_checkpoint(settings.folder, assignment)
            if state is not None:
                run.load_state_dict(state)
        except (CheckpointError, ValueError) as error:  # such as one of a GPU's, for a processor
            state, notice = None, f"{error}: it starts over"
        if state is not None:
            *past, last = run.history
            yield self._report(run, last, past=tuple(past))
        epochs = assignment.epochs
        for metrics in train_epochs(run, self._train, self._evaluation, epochs=epochs):
            save_checkpoint(settings.folder, assignment, run)
            yield self._report(run, metrics, notice=notice)
            notice = None

    def _report(
        self,
        run: TrainingRun,
        metrics: Epoch,
        past: tuple[Epoch, ...] = (),
        notice: str | None = None,
    ) -> Report:
        is_last = metrics.epoch == self._assignment.epochs
        predictions = self._predict(run) if is_last and self._settings.predict else None
        return Report(metrics, past=past, notice=notice, is_last=is_last, predictions=predictions)

    def _predict(self, run: TrainingRun) -> Predictions:
        images = to_device(self._evaluation, torch.device(self._settings.device))
        probabilities = predict_probabilities(run.model, evaluation_batches(images))
        confidence, predicted = probabilities.max(dim=1)
        return Predictions(
            predicted=predicted.numpy().astype(np.uint8),
            confidence=confidence.numpy(),
            labels=self._evaluation.labels,
        )
