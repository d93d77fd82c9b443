"""Schedulers: what stops a trial early."""

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from sweep.config import SweepConfig
from sweep.tuning.assignment import METRIC, TIME_ATTRIBUTE


def build_scheduler(config: SweepConfig) -> TrialScheduler:
    """Builds the scheduler that the config names.

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
    return AsyncHyperBandScheduler(
        time_attr=TIME_ATTRIBUTE,
        metric=METRIC,
        mode="max",
        max_t=config.epochs,
        grace_period=scheduler.grace_period,
        reduction_factor=scheduler.reduction_factor,
    )
