"""The callback that puts everything Ray Tune reports into the ledger."""

import bisect
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from analysis.files import checkpoint_name, failure_name
from analysis.folder import Folder
from analysis.ledger import LedgerWriter
from analysis.records import EpochRecord, Notice, TrialEnded, TrialStarted
from analysis.selection import rank_trials, trial_score
from sweep.config import SweepConfig
from sweep.trial import Assignment, Report


class Recorder(tune.Callback):
    """Writes the ledger, and deletes the checkpoints that nothing needs any more.

    An epoch that the ledger already has is ignored: after a retry a trial tells its
    checkpoint's last epoch once more.
    """

    def __init__(
        self,
        config: SweepConfig,
        folder: Folder,
        writer: LedgerWriter,
        on_step: Callable[[], None],
    ) -> None:
        self._config, self._folder, self._writer = config, folder, writer
        self._on_step = on_step
        self._n_kept = max(1, config.n_finalists)
        # Ascending by score; of equals, the earlier trial is the better one.
        self._kept = sorted(
            (selection.score, -selection.trial.trial_id)
            for selection in rank_trials(writer.ledger)[: self._n_kept]
        )

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that is never asked for."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Gives the display, and whoever wants to stop the sweep, their turn."""
        self._on_step()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        """Records a new trial; a retried one is there already."""
        assignment = Assignment.from_config(trial.config)
        if assignment.trial_id not in self._writer.ledger.trials:
            self._writer.append(
                TrialStarted(
                    time=time.time(),
                    trial_id=assignment.trial_id,
                    seed=assignment.seed,
                    hyperparameters=self._config.reported(assignment.hyperparameters),
                )
            )

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Records the epochs that the ledger does not have yet."""
        trial_id = Assignment.from_config(trial.config).trial_id
        report = Report.from_result(result)
        if report.notice is not None:
            self._writer.append(Notice(time.time(), trial_id, report.notice))
        if report.epoch is not None:
            known = len(self._writer.ledger.trials[trial_id].epochs)
            for metrics in (*report.past, report.epoch):
                if metrics.epoch > known:
                    record = EpochRecord(time=time.time(), trial_id=trial_id, **asdict(metrics))
                    self._writer.append(record)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Records how a trial ended by itself or by the scheduler."""
        trial_id = Assignment.from_config(trial.config).trial_id
        report = Report.from_result(trial.last_result)
        reason = None
        if report.failure is not None:
            reason = report.failure.reason
            if report.failure.traceback is not None:
                name = failure_name(trial_id)
                self._folder.write(name, report.failure.traceback.encode())
                reason += f" (traceback in {name})"
        self._writer.append(TrialEnded(time.time(), trial_id, report.outcome(), reason))
        self._clear_checkpoints(trial_id)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Records a trial whose process died once too often."""
        trial_id = Assignment.from_config(trial.config).trial_id
        reason = f"its process died {trial.num_failures} times"
        self._writer.append(TrialEnded(time.time(), trial_id, "FAILED", reason))
        self._clear_checkpoints(trial_id)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Records that a trial's process died and another goes on in its place."""
        trial_id = Assignment.from_config(trial.config).trial_id
        epochs = len(self._writer.ledger.trials[trial_id].epochs)
        text = f"its process died after epoch {epochs}; another one goes on from there"
        self._writer.append(Notice(time.time(), trial_id, text))

    def _clear_checkpoints(self, trial_id: int) -> None:
        """Deletes the ended trial's checkpoint, or that of the one it displaces."""
        dropped = trial_id
        score = trial_score(self._writer.ledger.trials[trial_id], self._writer.ledger.config)
        if score is not None:
            bisect.insort(self._kept, (score, -trial_id))
            if len(self._kept) <= self._n_kept:
                return
            dropped = -self._kept.pop(0)[1]
        self._folder.delete(checkpoint_name(dropped))
