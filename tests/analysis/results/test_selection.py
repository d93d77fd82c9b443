from collections.abc import Callable
from typing import Any

import pytest

from analysis.records.ledger import Ledger
from analysis.results.selection import (
    describe_rule,
    rank_trials,
    selection_score,
    trial_accuracy,
    trial_score,
)

MakeLedger = Callable[..., Ledger]


@pytest.mark.parametrize(
    ("accuracies", "schedule", "score"),
    [
        ([0.5, 0.75, 0.875, 1.0], "constant", 0.875),
        ([0.5, 0.75, 0.875, 1.0], "linear", 1.0),
        ([0.5, 0.75], "constant", 0.625),
        ([0.75], "constant", 0.75),
        # Never the maximum.
        ([1.0, 0.5, 0.5, 0.5], "constant", 0.5),
        ([1.0, 1.0, 1.0, 0.5], "linear", 0.5),
    ],
)
def test_score_follows_the_schedule(accuracies: list[float], schedule: str, score: float) -> None:
    assert selection_score(accuracies, schedule=schedule) == score


def test_only_trials_that_ran_all_their_epochs_have_a_score(make_ledger: MakeLedger) -> None:
    states = {2: "STOPPED", 3: "FAILED", 4: "RUNNING"}
    accuracies = {key: [0.5, 1.0] for key in range(1, 5)} | {5: []}
    trials = make_ledger(accuracies, states).trials.values()
    assert [trial_score(trial) for trial in trials] == [0.75, None, None, None, None]
    # The accuracy to show is the score, or without one the last epoch's.
    assert [trial_accuracy(trial) for trial in trials] == [0.75, 1.0, 1.0, 1.0, None]


def test_trials_are_ranked_by_score_and_then_by_number(make_ledger: MakeLedger) -> None:
    accuracies = {7: [0.75], 3: [0.5], 5: [0.75], 1: [0.25], 2: [1.0], 4: []}
    ranked = rank_trials(make_ledger(accuracies, {2: "STOPPED"}))
    assert [(selection.trial.trial_id, selection.score) for selection in ranked] == [
        (5, 0.75),
        (7, 0.75),
        (3, 0.5),
        (1, 0.25),
    ]


@pytest.mark.parametrize(
    ("epochs", "recipe", "space", "measure"),
    [
        (4, {"schedule": "constant"}, {}, "mean validation accuracy of the last three epochs"),
        (2, {"schedule": "constant"}, {}, "mean validation accuracy of the last two epochs"),
        (1, {"schedule": "constant"}, {}, "validation accuracy of the last epoch"),
        (4, {"schedule": "linear"}, {}, "validation accuracy of the last epoch"),
        (
            4,
            {},
            {"schedule": ["constant", "linear"]},
            "mean validation accuracy of the last three epochs (constant learning rate) or "
            "validation accuracy of the last epoch (decaying)",
        ),
    ],
)
def test_rule_in_words(
    epochs: int, recipe: dict[str, Any], space: dict[str, Any], measure: str
) -> None:
    rule = describe_rule({"epochs": epochs, "recipe": recipe, "space": space})
    assert rule == f"highest {measure}, among trials that ran all their epochs"
