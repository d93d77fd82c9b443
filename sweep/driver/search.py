"""The search: runs trials until the ledger has all that are planned."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator

from typing_extensions import override

from analysis.records.dataset import DataRecord
from analysis.records.epochs import Epoch
from analysis.records.files import CONFIG_FILE, checkpoint_name, trial_name
from analysis.records.ledger import (
    ConfigChanged,
    EarlierSweep,
    EpochRecord,
    Ledger,
    LedgerWriter,
    Notice,
    SessionEnded,
    SessionStarted,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)
from analysis.results.budget import describe_budget, n_planned, working_clock
from analysis.results.selection import Selection, rank_trials, trial_score
from analysis.storage.folder import Folder
from analysis.storage.journal import FORMAT
from data_utils.dataset import TrainTest
from sweep.config import SweepConfig
from sweep.driver.resume import describe_data
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted
from sweep.screen.display import Display
from sweep.screen.search_view import SearchView
from sweep.training.assignment import Assignment, Report
from sweep.tuning.engine import Recorder
from sweep.tuning.scheduler import build_scheduler
from sweep.tuning.searcher import StudySearcher


def run_search(
    session: Session, config: SweepConfig, data: TrainTest, earlier: EarlierSweep | None = None
) -> Ledger:
    """Run the missing trials of the session's sweep, interrupted ones first.

    A sixth of the training images, chosen by the config's `split` and `split_seed`, is for
    validation, unless the data has its own: 10,000 of MNIST's 60,000. The searcher of a new
    sweep learns from an `earlier` one.

    Raises:
        StorageError: The storage cannot be read or written.
        ClusterError: No node is left.
        Interrupted: A signal came. The ledger has every epoch that was finished.
    """
    engine = session.engine
    with open_ledger(engine.folder, config, describe_data(data), earlier) as writer:
        ledger = writer.journal
        _end_killed_session(writer)
        if ledger.n_ended >= n_planned(ledger):
            return ledger
        train, validation = data.split(config.split, config.split_seed)
        host, pid = socket.gethostname(), os.getpid()
        writer.append(SessionStarted(time.time(), host, pid, engine.slots()))
        with Display(SearchView(ledger), session.stream) as display, _end_recorded(writer):
            recorder = TrialRecorder(config, engine.folder, writer, session.watching(display))
            while (n_missing := n_planned(ledger) - ledger.n_ended) > 0:
                engine.run(
                    train=train,
                    evaluation=validation,
                    recorder=recorder,
                    searcher=StudySearcher(config, ledger),
                    n_trainings=n_missing,
                    scheduler=build_scheduler(config, ledger),
                )
            if (early := describe_budget(ledger)) is not None:
                display.say(early)
        return ledger


@contextlib.contextmanager
def open_ledger(
    folder: Folder, config: SweepConfig, data: DataRecord, earlier: EarlierSweep | None = None
) -> Iterator[LedgerWriter]:
    """Begin or continue the ledger of a sweep in its locked folder; record a changed config.

    The config is recorded first in the ledger. After a crash between the two, the next session
    that trains repairs `config.yaml`.
    """
    plain = config.model_dump(mode="json")
    created = SweepCreated(time.time(), FORMAT, folder.name, plain, earlier, data)
    with LedgerWriter(folder, created) as writer:
        if SweepConfig.model_validate(writer.journal.config) != config:
            writer.append(ConfigChanged(time.time(), plain))
        text = config.to_yaml().encode()
        if not folder.exists(CONFIG_FILE) or folder.read(CONFIG_FILE) != text:
            folder.write(CONFIG_FILE, text)
        yield writer


def end_killed_search(folder: Folder, ledger: Ledger) -> None:
    """Record in a locked folder, before something else runs there, that a search was killed."""
    if ledger.has_open_session:
        with LedgerWriter(folder, ledger.created) as writer:
            _end_killed_session(writer)


def _end_killed_session(writer: LedgerWriter) -> None:
    """Record the end of a session whose driver could not do it: with the last record of work."""
    ledger = writer.journal
    if ledger.has_open_session:
        *_, (_, last) = working_clock(ledger)  # a change of the config is no work
        writer.append(SessionEnded(last.time, "killed"))


@contextlib.contextmanager
def _end_recorded(writer: LedgerWriter) -> Iterator[None]:
    """Record how the session ends."""
    try:
        yield
    except (Interrupted, Exception) as error:
        reason = f"interrupted by {error}" if isinstance(error, Interrupted) else str(error)
        with contextlib.suppress(Exception):  # the storage may be what failed
            writer.append(SessionEnded(time.time(), reason))
        raise
    writer.append(SessionEnded(time.time(), "finished"))


class TrialRecorder(Recorder):
    """Writes the ledger, and keeps the checkpoints of the best trials only."""

    def __init__(
        self,
        config: SweepConfig,
        folder: Folder,
        writer: LedgerWriter,
        on_step: Callable[[], None],
    ) -> None:
        super().__init__(folder, on_step)
        self._config, self._writer, self._ledger = config, writer, writer.journal
        self._n_best = 1 if config.confirm is None else config.confirm.top_k
        self._best = rank_trials(writer.journal)[: self._n_best]
        needed = {selection.trial.trial_id for selection in self._best}
        self.delete_checkpoints(  # that a killed driver left
            trial_name(trial.trial_id)
            for trial in self._ledger.trials.values()
            if trial.state != "RUNNING" and trial.trial_id not in needed
        )

    @override
    def start(self, assignment: Assignment) -> None:
        if assignment.key not in self._ledger.trials:  # a retried trial is recorded already
            shown = self._config.reported(assignment.hyperparameters)
            preview_epochs = assignment.epochs if assignment.epochs < self._config.epochs else None
            started = TrialStarted(
                time.time(),
                assignment.key,
                assignment.seed,
                shown,
                preview_epochs,
                assignment.repeats,
            )
            self._writer.append(started)

    @override
    def n_epochs(self, assignment: Assignment) -> int:
        return len(self._ledger.trials[assignment.key].epochs)

    @override
    def epoch(self, assignment: Assignment, metrics: Epoch) -> None:
        self._writer.append(EpochRecord.of(time.time(), assignment.key, metrics))

    @override
    def notice(self, assignment: Assignment, text: str) -> None:
        self._writer.append(Notice(time.time(), assignment.key, text))

    @override
    def end(self, assignment: Assignment, report: Report | None, reason: str | None) -> None:
        trial = self._ledger.trials[assignment.key]
        outcome = "FAILED" if report is None else report.outcome()
        if outcome == "COMPLETE" and trial.preview_epochs:
            outcome = "STOPPED"
        self._writer.append(TrialEnded(time.time(), trial.trial_id, outcome, reason))
        unneeded = [trial]
        if (score := trial_score(trial)) is not None:
            ranked = sorted([*self._best, Selection(trial, score)], key=lambda best: best.rank)
            self._best, displaced = ranked[: self._n_best], ranked[self._n_best :]
            unneeded = [selection.trial for selection in displaced]
        names = (checkpoint_name(trial_name(trial.trial_id)) for trial in unneeded)
        self._writer.delete_when_safe(names)
