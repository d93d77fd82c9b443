from collections.abc import Callable
from typing import Any

import pytest

from analysis.plots.dimensions import Dimension, dimensions
from analysis.records.ledger import Ledger


def test_dimensions_contain_the_space_and_values_outside_it(
    some_ledger: Ledger, make_ledger: Callable[..., Ledger]
) -> None:
    dropout, weight_decay = dimensions(some_ledger)
    assert dropout == Dimension("dropout", 0.0, 0.5)
    assert weight_decay == Dimension("weight_decay", 1e-6, 1e-2, "log")
    assert weight_decay.label == "weight decay"
    outside = make_ledger(("STOPPED", {"dropout": 0.6, "weight_decay": 0.0}, [0.5]))
    # Zero has no logarithm, so the axis is no longer logarithmic.
    assert dimensions(outside) == [
        Dimension("dropout", 0.0, 0.6),
        Dimension("weight_decay", 0.0, 1e-2, "linear"),
    ]


def test_dimensions_know_choices(make_ledger: Callable[..., Ledger]) -> None:
    ledger = make_ledger(("STOPPED", {"schedule": "c"}, [0.5]), space={"schedule": ["a", "b"]})
    (schedule,) = dimensions(ledger)
    assert schedule.choices == ("a", "b", "c")
    assert schedule.ticks() == {0.0: "a", 0.5: "b", 1.0: "c"}


@pytest.mark.parametrize(
    ("dimension", "value", "expected"),
    [
        (Dimension("x", 0.0, 0.5), 0.125, 0.25),
        (Dimension("x", 1e-6, 1e-2, "log"), 1e-5, 0.25),
        (Dimension("x", 0.9, 0.99, "accuracy"), 0.99, 1.0),
        (Dimension("x", 0.9, 0.99, "accuracy"), 0.1, 0.0),
        (Dimension("x", 3.0, 3.0), 3.0, 0.5),
        (Dimension("x", 3.0, 3.0), 2.0, 0.0),
        (Dimension("x", 0, 0, choices=("a",)), "a", 0.5),
        (Dimension("x", 0, 1, choices=(True, False)), False, 1.0),
    ],
)
def test_position_is_the_fraction_of_the_axis(
    dimension: Dimension, value: Any, expected: float
) -> None:
    assert dimension.position(value) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        (
            Dimension("x", 1e-6, 1e-2, "log"),
            {0.0: "10⁻⁶", 0.25: "10⁻⁵", 0.5: "10⁻⁴", 0.75: "0.001", 1.0: "0.01"},
        ),
        (Dimension("x", 0.0, 30.0), {0.0: "0", 1 / 3: "10", 2 / 3: "20", 1.0: "30"}),
        (Dimension("x", 64.0, 64.0), {0.5: "64"}),
        (Dimension("x", 0.9912, 0.9912, "accuracy"), {0.5: "99.12"}),
    ],
)
def test_ticks_are_round(dimension: Dimension, expected: dict[float, str]) -> None:
    ticks = dimension.ticks()
    assert list(ticks) == pytest.approx(list(expected))
    assert list(ticks.values()) == list(expected.values())
