import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.plots.scales import (
    accuracy_positions,
    accuracy_ticks,
    in_view,
    loss_ticks,
    percent,
    set_accuracy_scale,
    set_loss_scale,
)


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([0.99, 0.10, 0.98, 0.99, 0.99], [0.99, 0.98, 0.99, 0.99]),
        ([0.99, 0.99, 0.99, 0.99, 0.971], [0.99, 0.99, 0.99, 0.99, 0.971]),
        ([0.99, 0.99, 0.99, 0.99, 0.969], [0.99, 0.99, 0.99, 0.99]),
        ([0.99, 0.10, 0.10, 0.11], [0.99, 0.10, 0.10, 0.11]),  # most are low
        ([1.0, 1.0, 1.0, 1.0, 0.9999, 0.999], [1.0, 1.0, 1.0, 1.0, 0.9999]),
        ([0.10], [0.10]),
    ],
)
def test_in_view_are_all_but_the_few_far_below(
    accuracies: list[float], expected: list[float]
) -> None:
    assert in_view(accuracies) == expected


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0.988, 0.9925, ["98.8", "98.9", "99.0", "99.1", "99.2"]),
        (0.99, 0.9905, ["99.00", "99.01", "99.02", "99.03", "99.04", "99.05"]),
        (0.9, 0.99, ["90", "92", "94", "96", "97", "98", "99"]),
        (0.5, 0.995, ["50", "80", "90", "95", "98", "99", "99.5"]),
        (0.0, 1.0, ["0", "90", "99", "99.9", "99.99", "100"]),
        (1.0, 1.0, ["100"]),
    ],
)
def test_accuracy_ticks_are_round(lowest: float, highest: float, expected: list[str]) -> None:
    ticks = accuracy_ticks(lowest, highest)
    assert list(ticks.values()) == expected
    assert list(ticks) == pytest.approx([float(label) / 100 for label in expected], abs=1e-12)


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0.02, 0.05, ["0.020", "0.025", "0.030", "0.035", "0.040", "0.045", "0.050"]),
        (0.02, 2.0, ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]),
        (1e-4, 3.0, ["0.0001", "0.001", "0.01", "0.1", "1"]),
    ],
)
def test_loss_ticks_are_round(lowest: float, highest: float, expected: list[str]) -> None:
    assert list(loss_ticks(lowest, highest).values()) == expected


@pytest.mark.parametrize(
    ("accuracy", "decimals", "expected"),
    [(0.9925, None, "99.25"), (0.99, None, "99"), (0.99, 2, "99.00"), (1.0, None, "100")],
)
def test_percent_has_no_needless_zeros(
    accuracy: float, decimals: int | None, expected: str
) -> None:
    assert percent(accuracy, decimals) == expected


def test_accuracy_scale_gives_equal_room_to_equal_factors_of_the_error() -> None:
    axes = Figure().subplots()
    set_accuracy_scale(axes, "y", [0.9, 0.999])
    places = axes.transData.transform([(0, a) for a in (0.92, 0.96, 0.98)])[:, 1]
    # Half an image in 10,000 is added to the error, so that 100 % has a place.
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], rel=5e-3)


def test_accuracy_scale_holds_every_value_and_keeps_the_strip_free() -> None:
    axes = Figure().subplots()
    set_accuracy_scale(axes, "x", [0.0, 0.99, 1.0], strip=0.2)
    places = axes.transAxes.inverted().transform(
        axes.transData.transform([(0.0, 0.5), (1.0, 0.5)])
    )[:, 0]
    # The strip is 0.2 of the axis; 0.06 of 1.12 parts of the rest is room at either end.
    assert places == pytest.approx([0.2 + 0.8 * 0.06 / 1.12, 1 - 0.8 * 0.06 / 1.12])


@pytest.mark.parametrize("value", [0.0, 0.1, 0.9925, 1.0])
def test_accuracy_scale_shows_a_single_value(value: float) -> None:
    axes = Figure().subplots()
    set_accuracy_scale(axes, "y", [value])
    low, high = axes.get_ylim()
    assert low < value < high
    assert len(axes.get_yticks()) >= 1


def test_loss_scale_holds_even_a_loss_of_zero() -> None:
    axes = Figure().subplots()
    set_loss_scale(axes, "y", [0.0, 0.5])
    low, high = axes.get_ylim()
    assert 0 < low < 1e-6
    assert high > 0.5


def test_accuracy_positions_reach_from_zero_to_one() -> None:
    positions, ticks = accuracy_positions([0.99, 0.9, 0.97])
    middle = np.log(0.10005 / 0.03005) / np.log(0.10005 / 0.01005)
    assert positions == pytest.approx([1.0, 0.0, middle])
    assert ticks[0.0] == "90"
    assert min(ticks) == 0.0


def test_accuracy_positions_put_what_is_far_below_at_the_low_end() -> None:
    positions, ticks = accuracy_positions([0.99, 0.98, 0.985, 0.988, 0.1])
    assert positions[[0, 1, 4]].tolist() == [1.0, 0.0, 0.0]
    assert ticks[0.0] == "98.0"


def test_accuracy_positions_put_equal_values_in_the_middle() -> None:
    positions, ticks = accuracy_positions([0.9, 0.9])
    assert positions.tolist() == [0.5, 0.5]
    assert ticks == {0.5: "90.00"}
