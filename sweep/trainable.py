"""What Ray runs: one actor that trains one trial after another, an epoch a step."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from ray import tune

from analysis.folder import Folder
from data_utils.dataset import ImageDataset
from sweep.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from sweep.hyperparameters import Hyperparameters
from sweep.training import DivergenceError, EpochMetrics, TrainingRun, train_epochs
from sweep.trial import Assignment, Failure, Report


@dataclass(frozen=True)
class TrialSettings:
    """What is the same for every trial of a sweep.

    Attributes:
        device: `cpu` or `cuda`.
        threads: Threads a trial computes with.
        folder: The sweep's, which every worker must be able to reach.
    """

    device: str
    threads: int
    folder: Folder


class TrialTrainable(tune.Trainable):
    """Trains the trial in its config; the actor is then reused for the next one.

    A step never raises: what goes wrong in a trial is the same at every try, so it is
    reported as the trial's end. Only a process that dies is for Ray to retry, and the retry
    goes on from the checkpoint that the last step wrote before it reported.
    """

    def setup(
        self,
        config: dict[str, Any],
        train: ImageDataset,
        validation: ImageDataset,
        settings: TrialSettings,
    ) -> None:
        """Keeps what the trials share and prepares the first."""
        torch.set_num_threads(settings.threads)
        self._train, self._validation, self._settings = train, validation, settings
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepares the next trial; its work, and so what can fail, begins with its step."""
        self._assignment = Assignment.from_config(new_config)
        self._reports = self._train_trial()
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch."""
        try:
            report = next(self._reports)
        except DivergenceError as error:
            report = Report(epoch=None, failure=Failure(str(error)))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            failure = Failure(reason, traceback.format_exc())
            report = Report(epoch=None, failure=failure)
        return report.to_result()

    def _train_trial(self) -> Iterator[Report]:
        settings, assignment = self._settings, self._assignment
        run = TrainingRun.start(
            assignment.model,
            Hyperparameters(**assignment.hyperparameters),
            seed=assignment.seed,
            device=settings.device,
        )
        notice = None
        try:
            state = load_checkpoint(settings.folder, assignment)
        except CheckpointError as error:
            state, notice = None, f"{error}: it starts over"
        if state is not None:
            run.load_state_dict(state)
            *past, last = run.history
            yield self._report(last, past=tuple(past))
        for metrics in train_epochs(run, self._train, self._validation, epochs=assignment.epochs):
            save_checkpoint(settings.folder, assignment, run)
            yield self._report(metrics, notice=notice)
            notice = None

    def _report(
        self,
        metrics: EpochMetrics,
        past: tuple[EpochMetrics, ...] = (),
        notice: str | None = None,
    ) -> Report:
        is_last = metrics.epoch == self._assignment.epochs
        return Report(epoch=metrics, past=past, notice=notice, is_last=is_last)
