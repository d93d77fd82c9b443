from collections.abc import Callable

import pytest

from analysis.plots.picture import NothingToDrawError
from analysis.plots.points import Scored, points
from analysis.records.ledger import Ledger


def test_points_group_trials_by_how_they_ended(some_ledger: Ledger) -> None:
    data = points(some_ledger)
    assert data.ranked == (
        Scored(3, {"dropout": 0.0, "weight_decay": 1e-3}, 0.99),
        Scored(1, {"dropout": 0.25, "weight_decay": 1e-4}, 0.985),
    )
    assert data.stopped == ({"dropout": 0.5, "weight_decay": 1e-2},)
    assert data.failed == ({"dropout": 0.1, "weight_decay": 1e-6},)


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
    assert data.ranked == (
        Scored(2, {"dropout": 0.75, "shift": 0.0}, 0.99),
        Scored(1, {"dropout": 0.1, "shift": 0.1}, 0.95),
    )
    assert (data.dimensions[0].high, data.dimensions[1].low) == (0.75, 0.0)


def test_points_need_something_searched(make_ledger: Callable[..., Ledger]) -> None:
    ledger = make_ledger(("COMPLETE", {}, [0.9, 0.9, 0.9, 0.95]), space={})
    with pytest.raises(NothingToDrawError, match="no hyperparameter is searched"):
        points(ledger)


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (7, 1), (8, 3), (30, 3), (31, 4), (170, 17)])
def test_best_are_a_tenth_if_there_are_enough(
    make_ledger: Callable[..., Ledger], n: int, expected: int
) -> None:
    values = {"dropout": 0.1, "weight_decay": 1e-4}
    data = points(make_ledger(*[("COMPLETE", values, [0.9])] * n, epochs=1))
    assert [trial.trial_id for trial in data.best] == list(range(1, expected + 1))
