"""A ledger's trials as Optuna knows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.records.ledger import Ledger, Trial
from analysis.results.selection import trial_accuracy

STATES = {
    "RUNNING": TrialState.RUNNING,
    "COMPLETE": TrialState.COMPLETE,
    "STOPPED": TrialState.PRUNED,
    "FAILED": TrialState.FAIL,
}
"""What Optuna calls the states of trials."""


def distributions(ledger: Ledger) -> dict[str, BaseDistribution]:
    """Returns what each searched hyperparameter was drawn from, in the config's order.

    It is wide enough for trials that began under an earlier config, too. Whole numbers are
    among the others, without steps.
    """
    return {name: _distribution(ledger, name) for name in ledger.config["space"]}


def optuna_trial(trial: Trial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """Returns a trial as Optuna knows it: with its score, or else with its last accuracy.

    Its user attributes have the number that the ledger gives it, and why it failed.

    Args:
        trial: The trial.
        distributions: Of the searched hyperparameters; those without a value are left out.
    """
    values = {name: trial.value(name) for name in distributions}
    known = {name: value for name, value in values.items() if value is not None}
    is_valued = trial.state in ("COMPLETE", "STOPPED")
    attributes: dict[str, Any] = {"trial_id": trial.trial_id}
    if trial.reason is not None:
        attributes["reason"] = trial.reason
    made = create_trial(
        state=STATES[trial.state],
        value=trial_accuracy(trial) if is_valued else None,
        params=known,
        distributions={name: distributions[name] for name in known},
        user_attrs=attributes,
        intermediate_values={epoch.epoch: epoch.val_accuracy for epoch in trial.epochs},
    )
    made.datetime_start = datetime.fromtimestamp(trial.started)
    made.datetime_complete = None if trial.ended is None else datetime.fromtimestamp(trial.ended)
    return made


def _distribution(ledger: Ledger, name: str) -> BaseDistribution:
    spec = ledger.config["space"][name]
    trials = ledger.trials.values()
    values = [value for trial in trials if (value := trial.value(name)) is not None]
    if isinstance(spec, list):
        return CategoricalDistribution(tuple(dict.fromkeys([*spec, *values])))
    low, high = min([spec["low"], *values]), max([spec["high"], *values])
    return FloatDistribution(float(low), float(high), log=bool(spec.get("log")) and low > 0)
