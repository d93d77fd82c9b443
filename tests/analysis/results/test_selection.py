import pytest

from analysis.records.ledger import ConfigChanged
from analysis.results.selection import (
    describe_origin,
    describe_rule,
    rank_trials,
    selection_score,
    trial_accuracy,
    trial_score,
)
from in_memory import make_ledger


@pytest.mark.parametrize(
    ("accuracies", "schedule", "score"),
    [
        ([0.5, 0.75, 0.875, 1.0], "constant", 0.875),
        ([0.5, 0.75, 0.875, 1.0], "linear", 1.0),
        ([0.5, 0.75], "constant", 0.625),
        ([0.75], "constant", 0.75),
        ([0.16, 0.28], "constant", 0.22),  # in binary their mean is above that of 0.18 and 0.26
        ([0.18, 0.26], "constant", 0.22),
        # Never the maximum.
        ([1.0, 0.5, 0.5, 0.5], "constant", 0.5),
        ([1.0, 1.0, 1.0, 0.5], "linear", 0.5),
    ],
)
def test_score_follows_the_schedule(accuracies, schedule, score):
    ledger = make_ledger(("COMPLETE", {}, accuracies), recipe={"schedule": schedule})
    assert selection_score(ledger.trials[1]) == score


def test_searched_schedules_are_scored_alike():
    """A mean of epochs would favor decaying learning rates, as long as the accuracy rises."""
    draws = [{"schedule": schedule} for schedule in ("constant", "linear")]
    trials = [("COMPLETE", draw, [0.5, 0.75, 1.0]) for draw in draws]
    ledger = make_ledger(*trials, space={"schedule": ["constant", "linear"]})
    assert [selection_score(trial) for trial in ledger.trials.values()] == [1.0, 1.0]


def test_only_trials_that_ran_all_their_epochs_have_a_score():
    states = ("COMPLETE", "STOPPED", "FAILED", None)
    made = [(state, {}, [0.5, 1.0]) for state in states]
    ledger = make_ledger(*made, ("COMPLETE", {}, []), recipe={"schedule": "constant"})
    trials = ledger.trials.values()
    assert [trial_score(trial) for trial in trials] == [0.75, None, None, None, None]
    # The accuracy to show is the score, or without one the last epoch's.
    assert [trial_accuracy(trial) for trial in trials] == [0.75, 1.0, 1.0, 1.0, None]


def test_trials_are_ranked_by_score_and_then_by_number():
    accuracies = [[0.25], [0.75], [0.5], [0.75], []]
    ledger = make_ledger(("STOPPED", {}, [1.0]), *[("COMPLETE", {}, a) for a in accuracies])
    ledger.trials = dict(reversed(ledger.trials.items()))  # as if they had started in this order
    ranked = [(selection.trial.trial_id, selection.score) for selection in rank_trials(ledger)]
    assert ranked == [(3, 0.75), (5, 0.75), (4, 0.5), (2, 0.25)]


@pytest.mark.parametrize(
    ("epochs", "recipe", "space", "measure"),
    [
        (4, {"schedule": "constant"}, {}, "mean validation accuracy of the last three epochs"),
        (2, {"schedule": "constant"}, {}, "mean validation accuracy of the last two epochs"),
        (1, {"schedule": "constant"}, {}, "validation accuracy of the last epoch"),
        (4, {"schedule": "linear"}, {}, "validation accuracy of the last epoch"),
        (4, {}, {"schedule": ["constant", "linear"]}, "validation accuracy of the last epoch"),
    ],
)
def test_rule_in_words(epochs, recipe, space, measure):
    rule = describe_rule(make_ledger(epochs=epochs, recipe=recipe, space=space))
    assert rule == f"highest {measure}, among trials that ran all their epochs"


def test_rule_is_that_of_the_best_trial_after_the_config_has_changed():
    ledger = make_ledger(("COMPLETE", {}, [0.9] * 4), recipe={"schedule": "constant"})
    before = describe_rule(ledger)
    ledger.apply(ConfigChanged(2e9, ledger.config | {"recipe": {"schedule": "linear"}}))
    assert describe_rule(ledger) == before
    assert describe_rule(make_ledger(**ledger.config)) != before


def test_a_surprising_origin_needs_a_proposal_that_ended():
    first, second = ("COMPLETE", {"dropout": 0.2}, [0.9]), ("COMPLETE", {"dropout": 0.1}, [0.8])
    alone = make_ledger(first, (None, {}, []), initial_points=[{}])
    assert describe_origin(alone) is None
    both = make_ledger(first, second, initial_points=[{}])
    assert describe_origin(both) == (
        "the one proposal of the searcher did not beat the initial point, trial 1"
    )
    assert describe_origin(make_ledger(second, first, initial_points=[{}])) is None
