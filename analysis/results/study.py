"""The trials of a ledger as Optuna trials."""

import math
from collections.abc import Mapping
from datetime import datetime

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.records.ledger import Ledger, Trial
from analysis.results.selection import trial_accuracy

STATES = {
    "RUNNING": TrialState.RUNNING,
    "COMPLETE": TrialState.COMPLETE,
    "STOPPED": TrialState.PRUNED,
    "FAILED": TrialState.FAIL,
}
"""State of a trial in the ledger → state in Optuna."""


def distributions(ledger: Ledger) -> dict[str, BaseDistribution]:
    """Return the distribution of each searched hyperparameter, in the config's order.

    A distribution also covers trials of an earlier config.
    """
    found: dict[str, BaseDistribution] = {}
    for name, spec in ledger.config["space"].items():
        values = [trial.value(name) for trial in ledger.trials.values()]
        known = [value for value in values if value is not None]
        if isinstance(spec, list):
            found[name] = CategoricalDistribution(tuple(dict.fromkeys([*spec, *known])))
            continue
        low, high = min([spec["low"], *known]), max([spec["high"], *known])
        is_log = bool(spec.get("log")) and low > 0
        numbers = [low, spec["high"], *known]
        if all(isinstance(number, int) for number in numbers):
            # Values of an earlier config may lie between the steps.
            step = math.gcd(spec.get("step") or 1, *(number - low for number in numbers))
            found[name] = IntDistribution(low, high, log=is_log, step=step)
        else:
            found[name] = FloatDistribution(float(low), float(high), log=is_log)
    return found


def optuna_trial(trial: Trial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """Return a trial as an Optuna trial, with its score or, if it was stopped, its last accuracy.

    Its outcome, origin, what it repeats and the reason of its failure are user attributes. A
    hyperparameter without a value is left out.
    """
    values = {name: trial.value(name) for name in distributions}
    known = {name: value for name, value in values.items() if value is not None}
    about = {name: getattr(trial, name) for name in ("outcome", "origin", "repeats", "reason")}
    made = create_trial(
        state=STATES[trial.state],
        value=trial_accuracy(trial) if trial.state in ("COMPLETE", "STOPPED") else None,
        params=known,
        distributions={name: distributions[name] for name in known},
        user_attrs={name: value for name, value in about.items() if value is not None},
        intermediate_values={epoch.epoch: epoch.val_accuracy for epoch in trial.epochs},
    )
    made.datetime_start = datetime.fromtimestamp(trial.started)
    made.datetime_complete = None if trial.ended is None else datetime.fromtimestamp(trial.ended)
    return made
