"""The confirmation: finalists and baselines, trained on all images with fresh seeds."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from analysis.records.confirmation import (
    Confirmation,
    ConfirmationNotice,
    ConfirmationWriter,
    RunEnded,
    RunEpoch,
)
from analysis.records.confirmation_events import RunEndState
from analysis.records.files import checkpoint_name, run_name
from analysis.records.predictions import (
    Predictions,
    ShownImages,
    load_images,
    save_images,
    save_predictions,
)
from analysis.storage.folder import Folder
from data_utils.dataset import ImageDataset
from data_utils.mnist import Mnist
from sweep.training.assignment import Assignment, Report
from sweep.training.metrics import EpochMetrics
from sweep.tuning.engine import Engine, ListSearcher, Recorder


def missing_runs(
    confirmation: Confirmation, arms: list[str], seeds: list[int]
) -> list[Assignment]:
    """Returns what is still to be trained, seed by seed, so that arms stay comparable."""
    assignments = []
    for seed in seeds:
        for name in arms:
            run = confirmation.runs.get((name, seed))
            if run is None or run.state != "COMPLETE":
                arm = confirmation.arms[name]
                assignments.append(
                    Assignment(
                        name=run_name(name, seed),
                        seed=seed,
                        model=arm.model,
                        epochs=arm.epochs,
                        hyperparameters=arm.hyperparameters,
                    )
                )
    return assignments


def run_confirmation(
    engine: Engine,
    writer: ConfirmationWriter,
    *,
    arms: list[str],
    seeds: list[int],
    mnist: Mnist,
    on_step: Callable[[], None],
) -> None:
    """Trains every arm with every seed on all training images, unless it is done already.

    The test images are looked at after each epoch, for the curves; what counts is the last.

    Args:
        engine: What runs the trainings.
        writer: Of the confirmation, whose arms are recorded already.
        arms: Names of the arms to train.
        seeds: The same for all arms, so that differences can be paired.
        mnist: The data.
        on_step: Called several times a second; an exception in it ends the confirmation.

    Raises:
        OSError: The storage does not take a record any more.
    """
    recorder = RunRecorder(engine.folder, writer, arms, seeds, mnist.test, on_step)
    is_done = False
    while not is_done and (runs := missing_runs(writer.confirmation, arms, seeds)):
        is_done = engine.run(
            train=mnist.train,
            evaluation=mnist.test,
            recorder=recorder,
            searcher=ListSearcher(runs),
            n_trainings=len(runs),
            predict=True,
        )


class RunRecorder(Recorder):
    """Writes the confirmation's file, and for each finished run what pictures need of it."""

    def __init__(
        self,
        folder: Folder,
        writer: ConfirmationWriter,
        arms: list[str],
        seeds: list[int],
        test: ImageDataset,
        on_step: Callable[[], None],
    ) -> None:
        super().__init__(folder, on_step)
        self._writer, self._confirmation, self._test = writer, writer.confirmation, test
        self._runs = {run_name(arm, seed): (arm, seed) for arm in arms for seed in seeds}
        self._first_seed = seeds[0]

    def start(self, config: Mapping[str, Any]) -> None:
        """Records nothing: a run begins with its first epoch."""

    def n_epochs(self, config: Mapping[str, Any]) -> int:
        """Returns how many of a run's epochs are recorded."""
        run = self._confirmation.runs.get(self._run(config))
        return 0 if run is None else len(run.epochs)

    def epoch(self, config: Mapping[str, Any], metrics: EpochMetrics) -> None:
        """Records an epoch; what a trial calls validation is the test here."""
        values = {name.replace("val_", "test_"): v for name, v in asdict(metrics).items()}
        self._writer.append(RunEpoch(time.time(), *self._run(config), **values))

    def notice(self, config: Mapping[str, Any], text: str) -> None:
        """Records something that the user should know."""
        arm, seed = self._run(config)
        self._writer.append(ConfirmationNotice(time.time(), f"{arm}, seed {seed}: {text}"))

    def end(self, config: Mapping[str, Any], report: Report | None, reason: str | None) -> None:
        """Records a run's end, after its predictions and what they got wrong are safe."""
        arm, seed = self._run(config)
        complete = report is not None and report.outcome() == "COMPLETE"
        is_finalist = self._confirmation.arms[arm].role == "finalist"
        if report is not None and report.predictions is not None:
            save_predictions(self._folder, arm, seed, report.predictions)
            if is_finalist:
                self._keep_misclassified(report.predictions)
        state: RunEndState = "COMPLETE" if complete else "FAILED"
        self._writer.append(RunEnded(time.time(), arm, seed, state, reason))
        if not (complete and is_finalist and seed == self._first_seed):  # else it is for export
            self._folder.delete(checkpoint_name(run_name(arm, seed)))

    def _keep_misclassified(self, predictions: Predictions) -> None:
        """Adds the pixels of the test images that a finalist got wrong to those of others."""
        wrong = np.flatnonzero(~predictions.correct)
        indices = np.union1d(load_images(self._folder).indices, wrong).astype(np.int32)
        save_images(self._folder, ShownImages(indices, self._test.images[indices]))

    def _run(self, config: Mapping[str, Any]) -> tuple[str, int]:
        return self._runs[Assignment.from_config(config).name]
