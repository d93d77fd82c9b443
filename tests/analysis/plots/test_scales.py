import pytest
from matplotlib.figure import Figure

from analysis.plots.scales import (
    AccuracyLocator,
    RoundFormatter,
    RoundLocator,
    in_view,
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
def test_in_view_leaves_out_the_few_far_below(accuracies, expected):
    assert in_view(accuracies) == expected


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0.988, 0.9925, ["98.8", "98.9", "99.0", "99.1", "99.2"]),
        (0.99, 0.9905, ["99.00", "99.01", "99.02", "99.03", "99.04", "99.05"]),
        (0.9, 0.99, ["90", "92", "94", "96", "97", "98", "99"]),
        (0.5, 0.995, ["50", "80", "90", "95", "98", "99", "99.5"]),
        # The high end has a tick, too.
        (0.89, 0.9946, ["90", "95", "97", "98", "99", "99.4"]),
        (0.0, 1.0, ["0", "90", "99", "99.9", "99.99", "100"]),
        (-0.5, 0.5, ["0", "10", "20", "30", "40", "50"]),  # no accuracy is negative
        (1.0, 1.0, ["100"]),
    ],
)
def test_accuracy_ticks_are_round(lowest, highest, expected):
    ticks = AccuracyLocator().tick_values(lowest, highest)
    assert RoundFormatter(100).format_ticks(ticks) == expected
    assert ticks == pytest.approx([float(label) / 100 for label in expected], abs=1e-12)


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0.02, 0.05, ["0.020", "0.025", "0.030", "0.035", "0.040", "0.045", "0.050"]),
        (0.02, 2.0, ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]),
        (1e-4, 3.0, ["0.0001", "0.001", "0.01", "0.1", "1"]),
    ],
)
def test_loss_ticks_are_round(lowest, highest, expected):
    ticks = RoundLocator().tick_values(lowest, highest)
    assert RoundFormatter().format_ticks(ticks) == expected


def test_accuracy_scale_gives_equal_lengths_to_equal_factors_of_the_error():
    axes = Figure().subplots()
    set_accuracy_scale(axes, "y", [0.9, 0.999])
    places = axes.transData.transform([(0, a) for a in (0.92, 0.96, 0.98)])[:, 1]
    # Half an image in 10,000 is added to the error, so that 100 % has a position.
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], rel=5e-3)


def test_accuracy_scale_contains_every_value_and_leaves_the_strip_free():
    axes = Figure().subplots()
    set_accuracy_scale(axes, "x", [0.0, 0.99, 1.0], strip=0.2)
    places = axes.transAxes.inverted().transform(
        axes.transData.transform([(0.0, 0.5), (1.0, 0.5), (axes.get_xticks()[0], 0.5)])
    )[:, 0]
    # The strip is 0.2 of the axis; the margins are 0.06 of 1.12 parts of the rest.
    lowest = 0.2 + 0.8 * 0.06 / 1.12
    assert places == pytest.approx([lowest, 1 - 0.8 * 0.06 / 1.12, lowest])


@pytest.mark.parametrize("value", [0.0, 0.1, 0.9925, 1.0])
def test_accuracy_scale_shows_a_single_value(value):
    axes = Figure().subplots()
    set_accuracy_scale(axes, "y", [value])
    low, high = axes.get_ylim()
    assert low < value < high
    assert all(0 <= tick <= 1 for tick in axes.get_yticks())
    assert len(axes.get_yticks()) >= 1


def test_loss_scale_contains_even_a_loss_of_zero():
    axes = Figure().subplots()
    set_loss_scale(axes, [0.0, 0.5])
    low, high = axes.get_ylim()
    assert 0 < low < 1e-6
    assert high > 0.5
