from collections.abc import Callable

import pytest

from analysis.plots.points import points
from analysis.plots.results import NothingToDrawError
from analysis.records.ledger import Ledger
from analysis.results.selection import Selection


def test_points_group_trials_by_how_they_ended(some_ledger: Ledger) -> None:
    data, trials = points(some_ledger), some_ledger.trials
    assert data.ranked == [Selection(trials[3], 0.99), Selection(trials[1], 0.985)]
    assert (data.stopped, data.failed) == ([trials[2]], [trials[4]])


def test_points_complete_trials_that_did_not_draw_a_value(
    make_ledger: Callable[..., Ledger],
) -> None:
    data = points(
        make_ledger(
            ("COMPLETE", {"dropout": 0.1, "shift": 0.1}, [0.9, 0.9, 0.9, 0.95]),
            ("COMPLETE", {"rotation": 5.0}, [0.9, 0.9, 0.9, 0.99]),
            recipe={"schedule": "linear", "dropout": 0.75},
            space={"dropout": {"low": 0.0, "high": 0.5}, "shift": {"low": 0.05, "high": 0.1}},
        )
    )
    # From the recipe, and from the defaults of an older program that had no such recipe.
    dropout, shift = data.dimensions
    trials = [selection.trial for selection in data.ranked]
    assert (dropout.high, dropout.positions(trials)) == (0.75, pytest.approx([1.0, 0.1 / 0.75]))
    assert (shift.low, shift.positions(trials)) == (0.0, [0.0, 1.0])


def test_points_need_something_searched(make_ledger: Callable[..., Ledger]) -> None:
    ledger = make_ledger(("COMPLETE", {}, [0.9, 0.9, 0.9, 0.95]), space={})
    with pytest.raises(NothingToDrawError, match="no hyperparameter is searched"):
        points(ledger)


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (7, 1), (8, 3), (30, 3), (31, 4), (170, 17)])
def test_best_are_a_tenth_if_there_are_enough(
    make_ledger: Callable[..., Ledger], n: int, expected: int
) -> None:
    values = {"dropout": 0.1, "weight_decay": 1e-4}
    assert points(make_ledger(*[("COMPLETE", values, [0.9])] * n, epochs=1)).n_best == expected
