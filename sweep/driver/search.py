"""The search: runs trials until the ledger holds as many as the config asks for."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from typing_extensions import override

from analysis.records.epochs import Epoch
from analysis.records.files import CHECKPOINTS_FOLDER, CONFIG_FILE, checkpoint_name, trial_name
from analysis.records.ledger import (
    FORMAT,
    ConfigChanged,
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
from analysis.results.selection import Selection, rank_trials, trial_score
from analysis.storage.folder import Folder
from data_utils.dataset import TrainTest, split_train_validation
from sweep.config import SweepConfig
from sweep.driver.missing import n_missing_trials
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted
from sweep.training.assignment import Assignment, Report
from sweep.tuning.engine import Recorder
from sweep.tuning.scheduler import build_scheduler
from sweep.tuning.searcher import TRIAL_ID, StudySearcher


def run_search(session: Session, config: SweepConfig, *, name: str, data: TrainTest) -> Ledger:
    """Run the trials that the sweep `name` still lacks, those that were cut off first.

    A sixth of the training images, drawn by the config's `split_seed`, is for validation:
    10,000 of MNIST's 60,000.

    Raises:
        StorageError: The storage cannot be read or written.
        ClusterError: No node is left.
        Interrupted: A signal came. The ledger has every epoch that was finished.
    """
    folder, slots = session.engine.folder, session.engine.slots()
    with _open_ledger(folder, name, config) as writer:
        ledger = writer.journal
        if n_missing_trials(config, ledger) == 0:
            return ledger
        n_validation = max(1, len(data.train) // 6)
        train, validation = split_train_validation(data.train, n_validation, config.split_seed)
        writer.append(SessionStarted(time.time(), socket.gethostname(), os.getpid(), slots))
        with session.screen.search(ledger) as display, _end_recorded(writer):
            recorder = TrialRecorder(config, folder, writer, session.watching(display))
            is_done = False
            while not is_done:
                is_done = session.engine.run(
                    train=train,
                    evaluation=validation,
                    recorder=recorder,
                    searcher=StudySearcher(config, ledger),
                    n_trainings=n_missing_trials(config, ledger),
                    scheduler=build_scheduler(config, ledger),
                )
        return ledger


@contextlib.contextmanager
def _open_ledger(folder: Folder, name: str, config: SweepConfig) -> Iterator[LedgerWriter]:
    """Create or reopen the sweep's ledger, and record a changed config.

    `config.yaml` follows the ledger: after a crash between the two, the next session repairs
    the file.
    """
    plain, text = config.model_dump(mode="json"), config.to_yaml().encode()
    created = SweepCreated(time.time(), FORMAT, name, plain)
    with LedgerWriter.open(folder, created) as writer:
        if SweepConfig.model_validate(writer.journal.config) != config:
            writer.append(ConfigChanged(time.time(), plain))
        if not folder.exists(CONFIG_FILE) or folder.read(CONFIG_FILE) != text:
            folder.write(CONFIG_FILE, text)
        yield writer


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
        self._delete_leftovers()

    @override
    def start(self, config: Mapping[str, Any]) -> None:
        trial_id = config[TRIAL_ID]
        if trial_id not in self._ledger.trials:  # a retried trial is recorded already
            assignment = Assignment.from_config(config)
            shown = self._config.reported(assignment.hyperparameters)
            self._writer.append(TrialStarted(time.time(), trial_id, assignment.seed, shown))

    @override
    def n_epochs(self, config: Mapping[str, Any]) -> int:
        return len(self._ledger.trials[config[TRIAL_ID]].epochs)

    @override
    def epoch(self, config: Mapping[str, Any], epoch: Epoch) -> None:
        self._writer.append(EpochRecord.of(time.time(), config[TRIAL_ID], epoch))

    @override
    def notice(self, config: Mapping[str, Any], text: str) -> None:
        self._writer.append(Notice(time.time(), config[TRIAL_ID], text))

    @override
    def end(self, config: Mapping[str, Any], report: Report | None, reason: str | None) -> None:
        trial = self._ledger.trials[config[TRIAL_ID]]
        outcome = "FAILED" if report is None else report.outcome()
        self._writer.append(TrialEnded(time.time(), trial.trial_id, outcome, reason))
        unneeded = [trial]
        if (score := trial_score(trial)) is not None:
            ranked = sorted([*self._best, Selection(trial, score)], key=lambda best: best.rank)
            self._best, displaced = ranked[: self._n_best], ranked[self._n_best :]
            unneeded = [selection.trial for selection in displaced]
        for trial in unneeded:
            self._folder.delete(checkpoint_name(trial_name(trial.trial_id)))

    def _delete_leftovers(self) -> None:
        """Delete the checkpoints that a killed driver left of trials that have ended."""
        needed = {selection.trial.trial_id for selection in self._best}
        unneeded = {
            f"{trial_name(trial.trial_id)}.pt"
            for trial in self._ledger.trials.values()
            if trial.state != "RUNNING" and trial.trial_id not in needed
        }
        checkpoints = self._folder.child(CHECKPOINTS_FOLDER)
        for name in unneeded.intersection(checkpoints.files()):
            checkpoints.delete(name)
