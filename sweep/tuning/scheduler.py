"""Schedulers: what stops a trial early."""

from inspect import signature
from pkgutil import resolve_name
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from analysis.records.ledger import Ledger
from analysis.results.rungs import rungs
from sweep.config import SweepConfig
from sweep.config.registry import SCHEDULERS
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE
from sweep.tuning.ray_private import NotPickled


class Fifo(NotPickled, FIFOScheduler):
    """Runs the trials in the order of their proposals, and stops none.

    Ray's own class looks twice at all trials so far, also those that have ended, in each step.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the first trial that waits for a process."""
        live = tune_controller.get_live_trials()
        waiting = (trial for trial in live if trial.status == Trial.PENDING)
        return min(waiting, key=lambda trial: str(trial.trial_id), default=None)


class Asha(Fifo):
    """Asynchronous successive halving (ASHA).

    At each rung a trial continues only if its validation accuracy is in the best
    1/`reduction_factor` of those that reached the rung before it. Without a rung nothing is
    stopped. The rungs are read from the ledger, which has every epoch that was decided before.

    Ray's own class decides the same, but it knows a trial by Tune's name for it, which changes
    when a sweep is resumed, and it enters the last epoch of a resumed trial in a lower rung.

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020,
    https://arxiv.org/abs/1810.05934.
    """

    def __init__(self, config: SweepConfig, ledger: Ledger) -> None:
        super().__init__()
        own, self._ledger = config.scheduler, ledger
        self._cutoff = 100 * (1 - 1 / own.reduction_factor)
        self._rungs = set(rungs(own.grace_period, own.reduction_factor, config.epochs))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide on a trial that reaches a rung, unless that is decided already."""
        epochs = result["report"].epochs
        rung = epochs[-1].epoch if epochs else 0
        if rung in self._rungs:
            reached = {
                other.trial_id: other.epochs[rung - 1].val_accuracy
                for other in self._ledger.trials.values()
                if len(other.epochs) >= rung and other.preview_epochs is None
            }
            is_first_time = bool(reached) and trial.config["assignment"].key not in reached
            accuracies = list(reached.values())
            if is_first_time and epochs[-1].val_accuracy < np.percentile(accuracies, self._cutoff):
                return str(TrialScheduler.STOP)
        return str(TrialScheduler.CONTINUE)


def build_scheduler(config: SweepConfig, ledger: Ledger) -> TrialScheduler:
    """Build the scheduler that the config names.

    Its class is called with those of the arguments below that it takes. So a class of this
    project can read the ledger. A class of Ray's works unchanged, but a resume starts it empty.
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
