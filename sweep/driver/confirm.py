"""The confirmation: trains finalists and baselines on all images, with fresh seeds."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from analysis.records.confirmation import (
    Arm,
    Confirmation,
    ConfirmationBegun,
    ConfirmationNotice,
    ConfirmationWriter,
    RunEnded,
    RunEndState,
    RunEpoch,
    read_confirmation,
)
from analysis.records.epochs import Epoch
from analysis.records.files import CONFIRMATION_FILE, checkpoint_name, run_name
from analysis.records.ledger import FORMAT, Ledger
from analysis.records.predictions import (
    Predictions,
    ShownImages,
    load_images,
    save_images,
    save_predictions,
)
from analysis.storage.folder import Folder
from data_utils.dataset import ImageDataset, TrainTest
from sweep.config import Confirm, SweepConfig
from sweep.driver.missing import missing_runs, plan_runs
from sweep.driver.session import Session
from sweep.training.assignment import Assignment, Report
from sweep.tuning.engine import ListSearcher, Recorder


def run_confirmation(
    session: Session, config: SweepConfig, ledger: Ledger, *, plan: Confirm, data: TrainTest
) -> Confirmation:
    """Train the finalists and the baselines, unless they are trained already.

    Each arm learns from all training images, with the same seeds, so that differences can be
    paired. The test images are evaluated after each epoch, for the curves; the result is the
    last epoch's.

    Args:
        session: Runs the trainings.
        config: The sweep's.
        ledger: The sweep's, with at least one complete trial.
        plan: How many finalists and seeds.
        data: The data set of the sweep.

    Raises:
        StorageError: The storage cannot be read or written.
        ClusterError: No node is left.
        Interrupted: A signal came. Every epoch that was finished is recorded.
    """
    engine = session.engine
    _set_aside_other_epochs(engine.folder, config.epochs)
    begun = ConfirmationBegun(time.time(), FORMAT, ledger.name, config.epochs)
    with ConfirmationWriter.open(engine.folder, begun) as writer:
        confirmation = writer.journal
        arms, seeds = plan_runs(config, plan, ledger, confirmation)
        names = [arm.arm for arm in arms]
        for arm in arms:
            if arm.arm not in confirmation.arms:
                writer.append(arm)
        with session.screen.confirmation(confirmation, names, seeds, engine.slots()) as display:
            on_step = session.watching(display)
            recorder = RunRecorder(engine.folder, writer, seeds[0], data.test, on_step)
            is_done = False
            while not is_done and (runs := missing_runs(confirmation, names, seeds)):
                todo = [_assignment(confirmation.arms[arm], seed) for arm, seed in runs]
                is_done = engine.run(
                    train=data.train,
                    evaluation=data.test,
                    recorder=recorder,
                    searcher=ListSearcher(todo),
                    n_trainings=len(runs),
                    predict=True,
                )
        return confirmation


def _set_aside_other_epochs(folder: Folder, epochs: int) -> None:
    """Rename a confirmation of another number of epochs, whose arms are not comparable."""
    found = read_confirmation(folder)
    if found is None or found.begun.epochs == epochs:
        return
    stem = aside = f"confirm-{found.begun.epochs}-epochs"
    n = 1
    while folder.exists(f"{aside}.jsonl"):
        n += 1
        aside = f"{stem}-{n}"
    folder.write(f"{aside}.jsonl", folder.read(CONFIRMATION_FILE))
    folder.delete(CONFIRMATION_FILE)


def _assignment(arm: Arm, seed: int) -> Assignment:
    return Assignment(
        name=run_name(arm.arm, seed),
        seed=seed,
        model=arm.model,
        epochs=arm.epochs,
        hyperparameters=arm.hyperparameters,
    )


class RunRecorder(Recorder):
    """Writes the confirmation's file, and the predictions of each finished run."""

    def __init__(
        self,
        folder: Folder,
        writer: ConfirmationWriter,
        first_seed: int,
        test: ImageDataset,
        on_step: Callable[[], None],
    ) -> None:
        super().__init__(folder, on_step)
        self._writer, self._confirmation = writer, writer.journal
        self._first_seed, self._test = first_seed, test

    def start(self, config: Mapping[str, Any]) -> None:
        """Record nothing: a run begins with its first epoch."""

    def n_epochs(self, config: Mapping[str, Any]) -> int:
        """Return how many of a run's epochs are recorded."""
        run = self._confirmation.runs.get(_run(config))
        return 0 if run is None else len(run.epochs)

    def epoch(self, config: Mapping[str, Any], metrics: Epoch) -> None:
        """Record an epoch. The evaluation images are the test images here."""
        self._writer.append(RunEpoch.of(time.time(), *_run(config), metrics))

    def notice(self, config: Mapping[str, Any], text: str) -> None:
        """Record a notice for the user."""
        arm, seed = _run(config)
        self._writer.append(ConfirmationNotice(time.time(), f"{arm}, seed {seed}: {text}"))

    def end(self, config: Mapping[str, Any], report: Report | None, reason: str | None) -> None:
        """Record a run's end, after its predictions. Keep the checkpoint only for `export`."""
        arm, seed = _run(config)
        is_complete = report is not None and report.outcome() == "COMPLETE"
        is_finalist = self._confirmation.arms[arm].role == "finalist"
        if report is not None and report.predictions is not None:
            save_predictions(self._folder, arm, seed, report.predictions)
            if is_finalist:
                self._save_misclassified(report.predictions)
        state: RunEndState = "COMPLETE" if is_complete else "FAILED"
        self._writer.append(RunEnded(time.time(), arm, seed, state, reason))
        if not (is_complete and is_finalist and seed == self._first_seed):
            self._folder.delete(checkpoint_name(run_name(arm, seed)))

    def _save_misclassified(self, predictions: Predictions) -> None:
        """Add the test images that a finalist misclassified to those of other runs."""
        wrong = np.flatnonzero(~predictions.correct)
        indices = np.union1d(load_images(self._folder).indices, wrong).astype(np.int32)
        save_images(self._folder, ShownImages(indices, self._test.images[indices]))


def _run(config: Mapping[str, Any]) -> tuple[str, int]:
    """Return the arm and the seed of Tune's config."""
    assignment = Assignment.from_config(config)
    return assignment.name.removesuffix(run_name("", assignment.seed)), assignment.seed
