"""A worker, which trains one network after another, one epoch per step. It does not use Ray."""

import traceback
from collections.abc import Iterable, Iterator

import torch

from analysis.errors import StorageError, describe_cause
from analysis.records.epochs import Epoch
from analysis.records.ledger import DIVERGED
from analysis.records.predictions import Predictions
from analysis.storage.folder import Folder
from data_utils.batches import evaluation_batches, to_device
from data_utils.dataset import ImageDataset
from models.own import register
from sweep.training.assignment import Assignment, Report
from sweep.training.checkpoints import Checkpoint, CheckpointError
from sweep.training.evaluation import predict_probabilities
from sweep.training.loop import DivergenceError, TrainingRun, train_epochs


class Worker:
    """Trains the networks assigned to it.

    A step never raises: a failure would be the same at every try, so it is reported as the
    end of the training. With `predict` last reports have the predictions of the evaluation
    images. `networks` are the texts of the user's own networks.
    """

    def __init__(
        self,
        train: ImageDataset,
        evaluation: ImageDataset,
        folder: Folder,
        *,
        device: str,
        predict: bool,
        networks: Iterable[bytes] = (),
    ) -> None:
        torch.set_num_threads(1)  # results depend on it, and other cores have other trials
        self._train, self._evaluation, self._folder = train, evaluation, folder
        self._device, self._predict = device, predict
        for source in networks:
            register(source)

    def assign(self, assignment: Assignment) -> None:
        """Prepare the next training; its work, and so any failure, starts with a step."""
        self._assignment = assignment
        self._reports = self._reports_of_training()

    def step(self) -> Report:
        """Train one epoch."""
        try:
            return next(self._reports)
        except DivergenceError as error:
            return Report(failure=f"{DIVERGED}: {error}")
        except StorageError as error:
            reason = f"storage {error.filename}: {describe_cause(error)}"
            return Report(failure=reason, is_storage_failure=True)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return Report(failure=reason, traceback=traceback.format_exc())

    def _reports_of_training(self) -> Iterator[Report]:
        own = self._assignment
        checkpoint = Checkpoint(self._folder, own)
        run, notice = self._start(), None
        try:
            if checkpoint.load(run):
                yield self._report(run, tuple(run.history))
        except CheckpointError as error:
            run, notice = self._start(), f"{error}; the training starts over"
        for epoch in train_epochs(run, self._train, self._evaluation, epochs=own.epochs):
            checkpoint.save(run)
            yield self._report(run, (epoch,), notice)
            notice = None

    def _start(self) -> TrainingRun:
        own, spec = self._assignment, self._train.spec
        return TrainingRun(
            own.model, own.hyperparameters, seed=own.seed, device=self._device, spec=spec
        )

    def _report(
        self, run: TrainingRun, epochs: tuple[Epoch, ...], notice: str | None = None
    ) -> Report:
        is_last, predictions = len(run.history) == self._assignment.epochs, None
        if is_last and self._predict:
            images = to_device(self._evaluation, self._device)
            with run.averaged():
                probabilities = predict_probabilities(run.model, evaluation_batches(images))
            confidence, predicted = probabilities.max(dim=1)
            predictions = Predictions(
                predicted=predicted.numpy().astype(self._evaluation.labels.dtype),
                confidence=confidence.numpy(),
                labels=self._evaluation.labels,
            )
        return Report(epochs, notice=notice, is_last=is_last, predictions=predictions)
