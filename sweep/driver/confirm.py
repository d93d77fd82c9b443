"""The confirmation: trains finalists and baselines on all images, with fresh seeds."""

import contextlib
import time
from collections.abc import Callable, Iterator

import numpy as np
from msgspec.structs import replace
from typing_extensions import override

from analysis.records.confirmation import (
    Confirmation,
    ConfirmationBegun,
    ConfirmationNotice,
    ConfirmationWriter,
    LookTaken,
    Plan,
    Run,
    RunEnded,
    RunEndState,
    RunEpoch,
    read_confirmation,
)
from analysis.records.epochs import Epoch
from analysis.records.files import checkpoint_name, run_name
from analysis.records.ledger import Ledger
from analysis.records.predictions import ShownImages, load_images, save_images, save_predictions
from analysis.results.completeness import needs_look
from analysis.storage.folder import Folder
from analysis.storage.journal import FORMAT
from data_utils.dataset import ImageDataset, TrainTest
from sweep.config import SweepConfig
from sweep.driver.arms import missing_runs, plan_of, planned_arms, planned_seeds
from sweep.driver.session import Session
from sweep.screen.confirm_view import ConfirmationView
from sweep.screen.display import Display
from sweep.training.assignment import Assignment, Report
from sweep.tuning.engine import ListSearcher, Recorder


def run_confirmation(
    session: Session, config: SweepConfig, ledger: Ledger, data: TrainTest
) -> Confirmation:
    """Train the finalists and the baselines, unless they are trained already.

    Each arm learns from all training images, with the same seeds, so that differences can be
    paired. The test images are evaluated after each epoch, for the curves; the result is the
    last epoch's. A look at the results is recorded before they are shown. If the plan is to add
    seeds until the verdict is clear, the next look follows.

    The ledger must have a complete trial. Errors are those of `run_search`.
    """
    with open_confirmation(session.engine.folder, config, ledger) as (writer, names):
        confirmation = writer.journal
        trained: list[int] = []
        # Runs that failed are not tried again at once.
        while (seeds := planned_seeds(config, ledger, confirmation)) != trained:
            _train(session, writer, names, seeds, data)
            if needs_look(confirmation, names, seeds):
                looks = confirmation.looks
                n_planned = looks[0].n_planned if looks else confirmation.n_planned
                n_ended = confirmation.n_seeds_ended(names)
                writer.append(LookTaken(time.time(), n_ended, n_planned))
            trained = seeds
        return confirmation


@contextlib.contextmanager
def open_confirmation(
    folder: Folder, config: SweepConfig, ledger: Ledger
) -> Iterator[tuple[ConfirmationWriter, list[str]]]:
    """Begin or continue the confirmation of a sweep in its locked folder, and record its plan.

    Yields the writer, and the names of the planned arms.
    """
    move_to = _name_for_other_epochs(folder, ledger, config.epochs)
    created = ledger.created.time
    begun = ConfirmationBegun(time.time(), FORMAT, ledger.name, config.epochs, created)
    with ConfirmationWriter(folder, begun, move_to=move_to) as writer:
        arms = planned_arms(config, ledger, writer.journal)
        names = [arm.arm for arm in arms]
        _record_plan(writer, replace(plan_of(config), arms=tuple(names)))
        for arm in arms:
            if arm.arm not in writer.journal.arms:
                writer.append(arm)
        yield writer, names


def _record_plan(writer: ConfirmationWriter, plan: Plan) -> None:
    """Record a new plan, after the look that version 0.1.0 took without recording it."""
    known, looks = writer.journal.plan, writer.journal.looks
    if known is None and not writer.journal.taken_looks and writer.journal.runs:
        writer.append(LookTaken(time.time(), looks[0].n_seeds, looks[0].n_planned))
    if known is None or replace(known, time=plan.time) != plan:
        writer.append(plan)


def _train(
    session: Session,
    writer: ConfirmationWriter,
    names: list[str],
    seeds: list[int],
    data: TrainTest,
) -> None:
    """Train the arms `names` with `seeds`, where runs are missing."""
    engine, confirmation = session.engine, writer.journal
    missing = {}
    for name, seed in missing_runs(confirmation, names, seeds):
        arm = confirmation.arms[name]
        missing[name, seed] = Assignment(
            run_name(name, seed), seed, arm.model, arm.epochs, arm.hyperparameters, key=name
        )
    view = ConfirmationView(confirmation, names, seeds, engine.slots())
    with Display(view, session.stream) as display:
        on_step = session.watching(display)
        recorder = RunRecorder(engine.folder, writer, seeds[0], data.test, missing, on_step)
        while missing:
            engine.run(
                train=data.train,
                evaluation=data.test,
                recorder=recorder,
                searcher=ListSearcher(list(missing.values())),
                n_trainings=len(missing),
                predict=True,
            )
        recorder.delete_leftovers()


def _name_for_other_epochs(folder: Folder, ledger: Ledger, epochs: int) -> str | None:
    """Return a new name for a confirmation of another number of epochs; None without one.

    Its arms are not comparable with those of this one.
    """
    found = read_confirmation(folder, ledger)
    if found is None or found.begun.epochs == epochs:
        return None
    stem = aside = f"confirm-{found.begun.epochs}-epochs"
    n = 1
    while folder.exists(f"{aside}.jsonl"):
        n += 1
        aside = f"{stem}-{n}"
    return f"{aside}.jsonl"


class RunRecorder(Recorder):
    """Writes the confirmation's file, and the predictions of a run before its end.

    The only checkpoint that is kept is the one that `sweep export` needs. A run that ends is
    removed from `missing`.
    """

    def __init__(
        self,
        folder: Folder,
        writer: ConfirmationWriter,
        first_seed: int,
        test: ImageDataset,
        missing: dict[tuple[str, int], Assignment],
        on_step: Callable[[], None],
    ) -> None:
        super().__init__(folder, on_step)
        self._writer, self._confirmation = writer, writer.journal
        self._first_seed, self._test, self._missing = first_seed, test, missing

    @override
    def start(self, assignment: Assignment) -> None:
        pass  # a run begins with its first epoch

    @override
    def n_epochs(self, assignment: Assignment) -> int:
        run = self._confirmation.runs.get((assignment.key, assignment.seed))
        return 0 if run is None else len(run.epochs)

    @override
    def epoch(self, assignment: Assignment, metrics: Epoch) -> None:
        arm, seed = assignment.key, assignment.seed
        self._writer.append(RunEpoch.of(time.time(), arm, seed, metrics))

    @override
    def notice(self, assignment: Assignment, text: str) -> None:
        line = f"{assignment.key}, seed {assignment.seed}: {text}"
        self._writer.append(ConfirmationNotice(time.time(), line))

    @override
    def end(self, assignment: Assignment, report: Report | None, reason: str | None) -> None:
        arm, seed = assignment.key, assignment.seed
        is_complete = report is not None and report.outcome() == "COMPLETE"
        if report is not None and report.predictions is not None:
            save_predictions(self._folder, arm, seed, report.predictions)
            if self._confirmation.arms[arm].role == "finalist":
                # Show what it misclassified, with the images of other runs.
                wrong = np.flatnonzero(~report.predictions.correct)
                indices = np.union1d(load_images(self._folder).indices, wrong).astype(np.int32)
                save_images(self._folder, ShownImages(indices, self._test.images[indices]))
        state: RunEndState = "COMPLETE" if is_complete else "FAILED"
        self._writer.append(RunEnded(time.time(), arm, seed, state, reason))
        del self._missing[arm, seed]
        if not self._is_exported(self._confirmation.runs[arm, seed]):
            self._writer.delete_when_safe([checkpoint_name(assignment.name)])

    def delete_leftovers(self) -> None:
        """Delete the checkpoints of ended runs that a killed driver or its workers left."""
        self.delete_checkpoints(
            run_name(run.arm, run.seed)
            for run in self._confirmation.runs.values()
            if run.state != "RUNNING" and not self._is_exported(run)
        )

    def _is_exported(self, run: Run) -> bool:
        """Return whether `sweep export` needs the checkpoint of a run that has ended."""
        is_finalist = self._confirmation.arms[run.arm].role == "finalist"
        return is_finalist and run.state == "COMPLETE" and run.seed == self._first_seed
