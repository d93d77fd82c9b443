"""Schedulers: what stops a trial early."""

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from analysis.records.ledger import Ledger
from sweep.config import SweepConfig
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE, Report


def build_scheduler(config: SweepConfig, ledger: Ledger) -> TrialScheduler:
    """Builds the scheduler that the config names, with what the ledger holds in its rungs.

    `asha` is asynchronous successive halving: at each rung (`grace_period` epochs, then
    `reduction_factor` times as many, and so on) a trial goes on only if its validation
    accuracy is in the best 1/`reduction_factor` of those that got there before it. Where
    the first rung lies beyond the last epoch nothing is ever stopped.

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020,
    https://arxiv.org/abs/1810.05934.
    """
    scheduler = config.scheduler
    if scheduler.name == "none" or scheduler.grace_period > config.epochs:
        return FIFOScheduler()
    asha = ResumableAsha(
        time_attr=TIME_ATTRIBUTE,
        metric=METRIC,
        mode="max",
        max_t=config.epochs,
        grace_period=scheduler.grace_period,
        reduction_factor=scheduler.reduction_factor,
    )
    asha.replay(ledger)
    return asha


class ResumableAsha(AsyncHyperBandScheduler):
    """ASHA whose rungs, after a break, are what they would have been without it."""

    def replay(self, ledger: Ledger) -> None:
        """Enters the trials that have ended; what it decides about them is history."""
        for trial in ledger.trials.values():
            if trial.state != "RUNNING":
                past = SimpleNamespace(trial_id=f"ledger-{trial.trial_id}")
                self.on_trial_add(None, past)
                for epoch in trial.epochs:
                    self._enter(past, epoch.epoch, epoch.val_accuracy)
                self.on_trial_remove(None, past)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decides, after entering the epochs that a trial from a checkpoint has behind it."""
        for metrics in Report.from_result(result).past:
            self._enter(trial, metrics.epoch, metrics.val_accuracy)
        return str(super().on_trial_result(tune_controller, trial, result))

    def _enter(self, trial: Any, epoch: int, accuracy: float) -> None:
        super().on_trial_result(None, trial, {TIME_ATTRIBUTE: epoch, METRIC: accuracy})
