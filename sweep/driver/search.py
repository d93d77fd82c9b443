"""The search: trials until the ledger holds as many as were asked for."""

import bisect
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from analysis.records.events import EpochRecord, Notice, TrialEnded, TrialStarted
from analysis.records.files import checkpoint_name, trial_name
from analysis.records.ledger import Ledger, LedgerWriter
from analysis.results.selection import rank_trials, trial_score
from analysis.storage.folder import Folder
from data_utils.dataset import ImageDataset
from sweep.config import SweepConfig
from sweep.training.assignment import Assignment, Report
from sweep.training.metrics import EpochMetrics
from sweep.tuning.engine import Engine, Recorder
from sweep.tuning.scheduler import build_scheduler
from sweep.tuning.searcher import TRIAL_ID, StudySearcher


def run_search(
    config: SweepConfig,
    engine: Engine,
    writer: LedgerWriter,
    *,
    train: ImageDataset,
    validation: ImageDataset,
    on_step: Callable[[], None],
) -> None:
    """Runs the trials of a sweep that its ledger lacks, those that were cut off first.

    Args:
        config: The sweep's.
        engine: What runs them.
        writer: Of the sweep's ledger, which gets every event as it happens.
        train: Images the trials learn from.
        validation: Images they are measured on.
        on_step: Called several times a second; an exception in it ends the search.

    Raises:
        OSError: The storage does not take a record any more.
    """
    recorder = TrialRecorder(config, engine.folder, writer, on_step)
    is_done = False
    while not is_done:
        is_done = engine.run(
            train=train,
            evaluation=validation,
            recorder=recorder,
            searcher=StudySearcher(config, writer.ledger),
            n_trainings=missing_trials(config, writer.ledger),
            scheduler=build_scheduler(config, writer.ledger),
        )


def missing_trials(config: SweepConfig, ledger: Ledger) -> int:
    """Returns how many trials have not ended yet, of those that the config asks for."""
    return max(0, config.trials - len(ledger.trials) + len(ledger.in_state("RUNNING")))


class TrialRecorder(Recorder):
    """Writes the ledger, and deletes the checkpoints that nothing needs any more."""

    def __init__(
        self,
        config: SweepConfig,
        folder: Folder,
        writer: LedgerWriter,
        on_step: Callable[[], None],
    ) -> None:
        super().__init__(folder, on_step)
        self._config, self._writer, self._ledger = config, writer, writer.ledger
        self._n_kept = max(1, config.n_finalists)
        # Ascending by score; of equals, the earlier trial is the better one.
        self._kept = sorted(
            (selection.score, -selection.trial.trial_id)
            for selection in rank_trials(writer.ledger)[: self._n_kept]
        )
        needed = {-negative_id for _, negative_id in self._kept}
        for trial in self._ledger.trials.values():  # a driver may have been killed in between
            if trial.state != "RUNNING" and trial.trial_id not in needed:
                folder.delete(checkpoint_name(trial_name(trial.trial_id)))

    def start(self, config: Mapping[str, Any]) -> None:
        """Records a new trial; one that is tried again is there already."""
        if config[TRIAL_ID] not in self._ledger.trials:
            assignment = Assignment.from_config(config)
            shown = self._config.reported(assignment.hyperparameters)
            self._writer.append(
                TrialStarted(time.time(), config[TRIAL_ID], assignment.seed, dict(shown))
            )

    def n_epochs(self, config: Mapping[str, Any]) -> int:
        """Returns how many of a trial's epochs are in the ledger."""
        return len(self._ledger.trials[config[TRIAL_ID]].epochs)

    def epoch(self, config: Mapping[str, Any], metrics: EpochMetrics) -> None:
        """Records an epoch."""
        self._writer.append(EpochRecord(time.time(), config[TRIAL_ID], **asdict(metrics)))

    def notice(self, config: Mapping[str, Any], text: str) -> None:
        """Records something that the user should know."""
        self._writer.append(Notice(time.time(), config[TRIAL_ID], text))

    def end(self, config: Mapping[str, Any], report: Report | None, reason: str | None) -> None:
        """Records a trial's end, and deletes its checkpoint or that of the one it displaces."""
        trial_id = config[TRIAL_ID]
        outcome = "FAILED" if report is None else report.outcome()
        self._writer.append(TrialEnded(time.time(), trial_id, outcome, reason))
        dropped = trial_id
        score = trial_score(self._ledger.trials[trial_id])
        if score is not None:
            bisect.insort(self._kept, (score, -trial_id))
            if len(self._kept) <= self._n_kept:
                return
            dropped = -self._kept.pop(0)[1]
        self._folder.delete(checkpoint_name(trial_name(dropped)))
