from typing import Any

import pytest

from analysis.records.ledger import EpochRecord, Ledger, SweepCreated, TrialEnded, TrialStarted
from analysis.results.selection import (
    describe_rule,
    rank_trials,
    selection_score,
    trial_accuracy,
    trial_score,
)


def config(schedule: str | None = "constant", *, searched: bool = False) -> dict[str, Any]:
    space = {"schedule": ["constant", "linear"]} if searched else {"dropout": {}}
    recipe = {} if schedule is None else {"schedule": schedule}
    return {"epochs": 4, "recipe": recipe, "space": space}


def ledger_of(
    accuracies: dict[int, list[float]],
    states: dict[int, str] | None = None,
    *,
    schedule: str = "constant",
    hyperparameters: dict[str, Any] | None = None,
) -> Ledger:
    """A ledger with these validation accuracies; trials are COMPLETE unless `states` says so."""
    ledger = Ledger(SweepCreated(0.0, 1, "s", config(schedule)))
    for trial_id, values in accuracies.items():
        ledger.apply(TrialStarted(1.0, trial_id, 1, hyperparameters or {}))
        for epoch, value in enumerate(values, start=1):
            ledger.apply(EpochRecord(2.0, trial_id, epoch, 1.0, 0.5, 1.0, value, 1.0, 1.0))
        state = (states or {}).get(trial_id, "COMPLETE")
        if state != "RUNNING":
            ledger.apply(TrialEnded(3.0, trial_id, state, None))  # type: ignore[arg-type]
    return ledger


@pytest.mark.parametrize(
    ("accuracies", "schedule", "score"),
    [
        ([0.5, 0.75, 0.875, 1.0], "constant", 0.875),
        ([0.5, 0.75, 0.875, 1.0], "linear", 1.0),
        ([0.5, 0.75], "constant", 0.625),
        ([0.75], "constant", 0.75),
        ([0.75], "linear", 0.75),
    ],
)
def test_score_is_a_mean_where_the_rate_is_constant_and_the_last_where_it_decays(
    accuracies: list[float], schedule: str, score: float
) -> None:
    assert selection_score(accuracies, schedule=schedule) == score


def test_score_is_never_the_maximum() -> None:
    assert selection_score([1.0, 0.5, 0.5, 0.5], schedule="constant") == 0.5
    assert selection_score([1.0, 1.0, 1.0, 0.5], schedule="linear") == 0.5


def test_only_trials_that_ran_all_their_epochs_are_ranked() -> None:
    states = {2: "STOPPED", 3: "FAILED", 4: "RUNNING"}
    ledger = ledger_of({key: [0.5, 0.5] for key in range(1, 5)} | {5: [0.25, 0.75]}, states)
    assert [selection.trial.trial_id for selection in rank_trials(ledger)] == [1, 5]
    scores = [trial_score(trial) for trial in ledger.trials.values()]
    assert scores == [0.5, None, None, None, 0.5]


def test_trials_are_ranked_by_score_and_then_by_number() -> None:
    ledger = ledger_of({7: [0.75], 3: [0.5], 5: [0.75], 1: [0.25]})
    ranked = [(selection.trial.trial_id, selection.score) for selection in rank_trials(ledger)]
    assert ranked == [(5, 0.75), (7, 0.75), (3, 0.5), (1, 0.25)]


def test_complete_trial_without_epochs_is_not_ranked() -> None:
    assert rank_trials(ledger_of({1: []})) == []


def test_accuracy_to_show_is_the_score_or_else_the_last_epochs() -> None:
    ledger = ledger_of({1: [0.5, 1.0], 2: [0.5, 1.0], 3: []}, {2: "STOPPED", 3: "FAILED"})
    shown = [trial_accuracy(trial) for trial in ledger.trials.values()]
    assert shown == [0.75, 1.0, None]


def test_rule_is_told_in_words() -> None:
    assert describe_rule(config("constant")) == (
        "highest mean validation accuracy of the last three epochs, "
        "among trials that ran all their epochs"
    )
    assert describe_rule(config("linear")) == (
        "highest validation accuracy of the last epoch, among trials that ran all their epochs"
    )
    assert describe_rule(config(None, searched=True)) == (
        "highest mean validation accuracy of the last three epochs (constant learning rate) or "
        "validation accuracy of the last epoch (decaying), among trials that ran all their epochs"
    )


def test_rule_does_not_promise_more_epochs_than_there_are() -> None:
    assert describe_rule(config("constant") | {"epochs": 2}).startswith(
        "highest mean validation accuracy of the last two epochs, "
    )
    assert describe_rule(config("constant") | {"epochs": 1}).startswith(
        "highest validation accuracy of the last epoch, "
    )
