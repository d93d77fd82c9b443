"""Schedulers: what stops a trial early."""

from collections.abc import Iterable
from inspect import signature
from pkgutil import resolve_name
from typing import Any

import numpy as np
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from analysis.records.epochs import Epoch
from analysis.records.ledger import Ledger
from analysis.results.rungs import rungs
from sweep.config import SweepConfig
from sweep.config.registry import SCHEDULERS
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE, Report
from sweep.tuning.searcher import TRIAL_ID


class Asha(FIFOScheduler):
    """Asynchronous successive halving (ASHA).

    At each rung a trial goes on only if its validation accuracy is in the best
    1/`reduction_factor` of those that reached the rung before it. Without a rung nothing is
    stopped.

    Ray's own class decides the same, but it knows a trial by Tune's name for it, which changes
    when a sweep is resumed, and it enters the last epoch of a resumed trial in a lower rung.

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020,
    https://arxiv.org/abs/1810.05934.

    Args:
        config: Has the rungs.
        ledger: Its trials are in their rungs from the start, also those that were cut off.
    """

    def __init__(self, config: SweepConfig, ledger: Ledger) -> None:
        super().__init__()
        own = config.scheduler
        self._cutoff = 100 * (1 - 1 / own.reduction_factor)
        epochs = rungs(own.grace_period, own.reduction_factor, config.epochs)
        self._rungs: dict[int, dict[int, float]] = {epoch: {} for epoch in epochs}
        for trial in ledger.trials.values():
            self._enter(trial.trial_id, trial.epochs)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide on a trial at a rung, after the epochs of a checkpoint have been entered."""
        number, report = trial.config[TRIAL_ID], Report.from_result(result)
        self._enter(number, report.past)
        if report.epoch is None:
            return str(TrialScheduler.CONTINUE)
        reached = self._rungs.get(report.epoch.epoch, {})
        others = [] if number in reached else list(reached.values())
        self._enter(number, [report.epoch])
        if others and report.epoch.val_accuracy < np.percentile(others, self._cutoff):
            return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Enter the epochs of a trial that had only to report that it was complete."""
        self._enter(trial.config[TRIAL_ID], Report.from_result(result).epochs)

    def _enter(self, number: int, epochs: Iterable[Epoch]) -> None:
        """Enter a trial's epochs in their rungs, each once."""
        for epoch in epochs:
            if epoch.epoch in self._rungs:
                self._rungs[epoch.epoch].setdefault(number, epoch.val_accuracy)


def build_scheduler(config: SweepConfig, ledger: Ledger) -> TrialScheduler:
    """Build the scheduler that the config names.

    Its class is called with those of the arguments below that it takes. So a scheduler of our
    own can start with the trials of the ledger, and one of Ray's can be used as it is; after a
    break it starts empty.
    """
    make = resolve_name(SCHEDULERS[config.scheduler.name])
    offered = {
        "config": config,
        "ledger": ledger,
        "metric": METRIC,
        "mode": "max",
        "time_attr": TIME_ATTRIBUTE,
        "max_t": config.epochs,
        "grace_period": config.scheduler.grace_period,
        "reduction_factor": config.scheduler.reduction_factor,
    }
    taken = signature(make).parameters.keys() & offered.keys()
    scheduler: TrialScheduler = make(**{name: offered[name] for name in taken})
    return scheduler
