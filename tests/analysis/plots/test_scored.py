from collections.abc import Callable

import pytest

from analysis.plots.picture import NothingToDrawError
from analysis.plots.scored import Scored, n_best, points
from analysis.records.ledger import Ledger


def test_points_tell_the_trials_apart(some_ledger: Ledger) -> None:
    data = points(some_ledger)
    assert data.ranked == (
        Scored(3, {"dropout": 0.0, "weight_decay": 1e-3}, 0.99),
        Scored(1, {"dropout": 0.25, "weight_decay": 1e-4}, 0.985),
    )
    assert data.stopped == ({"dropout": 0.5, "weight_decay": 1e-2},)
    assert data.failed == ({"dropout": 0.1, "weight_decay": 1e-6},)


def test_points_know_what_an_earlier_recipe_fixed(make_ledger: Callable[..., Ledger]) -> None:
    data = points(
        make_ledger(
            ("COMPLETE", {"dropout": 0.1}, [0.9, 0.9, 0.9, 0.95]),
            ("COMPLETE", {"rotation": 5.0}, [0.9, 0.9, 0.9, 0.99]),
            recipe={"schedule": "linear", "dropout": 0.75},
            space={"dropout": {"low": 0.0, "high": 0.5}},
        )
    )
    assert data.ranked == (Scored(2, {"dropout": 0.75}, 0.99), Scored(1, {"dropout": 0.1}, 0.95))
    assert data.dimensions[0].high == 0.75


def test_points_need_something_searched(make_ledger: Callable[..., Ledger]) -> None:
    ledger = make_ledger(("COMPLETE", {}, [0.9, 0.9, 0.9, 0.95]), space={})
    with pytest.raises(NothingToDrawError, match="no hyperparameter is searched"):
        points(ledger)


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (2, 2), (5, 3), (30, 3), (31, 4), (170, 17)])
def test_n_best_is_a_tenth_and_three_at_least(n: int, expected: int) -> None:
    assert n_best(n) == expected
