from functools import partial

import pytest
from matplotlib.figure import Figure
from msgspec.structs import replace

from analysis.plots.arm_curves import draw_arm_curves, draw_comparison_curves
from analysis.plots.best_so_far import draw_best_so_far
from analysis.plots.final_accuracies import draw_final_accuracies
from analysis.plots.scales import (
    AccuracyLocator,
    RoundFormatter,
    RoundLocator,
    in_view,
    set_accuracy_scale,
    set_loss_scale,
)
from analysis.plots.slices import draw_slices
from analysis.plots.sweeps_so_far import draw_sweeps_so_far
from analysis.plots.trial_curves import draw_trial_curves
from analysis.records.dataset import DataRecord
from in_memory import by_seed, make_confirmation, make_ledger
from shown import show


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
    assert in_view(accuracies, 10_000) == expected


@pytest.mark.parametrize("n_images", [7, 20, 50, 100, 1000, 10_000])
def test_one_image_less_than_the_best_is_in_view(n_images):
    accuracies = [1.0] * 9 + [1 - 1 / n_images]
    assert in_view([*accuracies, 1 - 2 / n_images], n_images) == accuracies


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
    ticks = AccuracyLocator(10_000).tick_values(lowest, highest)
    assert RoundFormatter(100).format_ticks(ticks) == expected
    assert ticks == pytest.approx([float(label) / 100 for label in expected], abs=1e-12)


@pytest.mark.parametrize(
    ("n_images", "lowest", "expected"),
    [
        (20, 0.0, ["0", "50", "70", "80", "90", "95", "100"]),
        (50, 0.87, ["90", "92", "94", "96", "97", "98", "100"]),
        (50, 0.919, ["92", "94", "96", "98", "100"]),
        (50, 0.978, ["98", "100"]),
        (30, 29 / 30, ["96.667", "100.000"]),
        (10_000, 0.9999, ["99.99", "100.00"]),
    ],
)
def test_no_accuracy_tick_is_nearer_to_100_than_one_image(n_images, lowest, expected):
    ticks = AccuracyLocator(n_images).tick_values(lowest, 1.0)
    assert RoundFormatter(100).format_ticks(ticks) == expected


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
    set_accuracy_scale(axes, "y", [0.9, 0.999], 10_000)
    places = axes.transData.transform([(0, a) for a in (0.92, 0.96, 0.98)])[:, 1]
    # Half an image in 10,000 is added to the error, so that 100 % has a position.
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], rel=5e-3)


@pytest.mark.parametrize("n_images", [20, 10_000])
def test_from_one_error_to_none_is_a_factor_of_three(n_images):
    axes = Figure().subplots()
    set_accuracy_scale(axes, "y", [0.5, 1.0], n_images)
    places = axes.transData.transform([(0, a) for a in (1 - 4 / n_images, 1 - 1 / n_images, 1.0)])
    assert (places[2, 1] - places[1, 1]) / (places[1, 1] - places[0, 1]) == pytest.approx(1)


def test_accuracy_scale_contains_every_value_and_leaves_the_strip_free():
    axes = Figure().subplots()
    set_accuracy_scale(axes, "x", [0.0, 0.99, 1.0], 10_000, strip=0.2)
    places = axes.transAxes.inverted().transform(
        axes.transData.transform([(0.0, 0.5), (1.0, 0.5), (axes.get_xticks()[0], 0.5)])
    )[:, 0]
    # The strip is 0.2 of the axis; the margins are 0.06 of 1.12 parts of the rest.
    lowest = 0.2 + 0.8 * 0.06 / 1.12
    assert places == pytest.approx([lowest, 1 - 0.8 * 0.06 / 1.12, lowest])


@pytest.mark.parametrize("value", [0.0, 0.1, 0.9925, 1.0])
def test_accuracy_scale_shows_a_single_value(value):
    axes = Figure().subplots()
    set_accuracy_scale(axes, "y", [value], 10_000)
    low, high = axes.get_ylim()
    assert low < value < high
    assert all(0 <= tick <= 1 for tick in axes.get_yticks())
    assert len(axes.get_yticks()) >= 1


@pytest.mark.parametrize("value", [0.9933, 0.9951, 0.9667])
def test_mean_between_two_numbers_of_errors_has_ticks_around_it(value):
    axes = Figure().subplots()
    set_accuracy_scale(axes, "y", [value], 50)
    (low, high), ticks = axes.get_ylim(), axes.get_yticks()
    assert sum(low <= tick <= high for tick in ticks) == len(ticks) >= 2


@pytest.mark.parametrize(
    ("draw", "n_images"),
    [
        (draw_best_so_far, 50),
        (draw_trial_curves, 50),
        (draw_slices, 50),
        (lambda results: draw_sweeps_so_far({"a": results.ledger}), 50),
        (draw_final_accuracies, 20),
        (draw_comparison_curves, 20),
        (partial(draw_arm_curves, arm="mlp"), 20),
    ],
)
def test_axes_are_as_fine_as_the_images_of_the_sweep(draw, n_images):
    values = {"dropout": 0.1, "weight_decay": 1e-4}
    ledger = make_ledger(*[("COMPLETE", values, [a] * 4) for a in [0.98] + [1.0] * 9])
    data = DataRecord(n_validation=50, n_test=20)
    ledger.created = replace(ledger.created, data=data)
    confirmation = make_confirmation({"finalist": by_seed(1.0, 0.95), "mlp": by_seed(1.0, 0.9)})
    panels = show(draw, ledger, confirmation).figure.axes
    sides = [axis for axes in panels for axis in (axes.xaxis, axes.yaxis)]
    scales = [axis for axis in sides if axis.get_scale() == "function"]
    assert scales
    for axis in scales:
        ticks = axis.get_majorticklocs()
        assert axis.get_view_interval()[0] < 0.98
        assert 1.0 in ticks
        assert not any(1 - 0.99 / n_images < tick < 1 for tick in ticks)


def test_loss_scale_contains_even_a_loss_of_zero():
    axes = Figure().subplots()
    set_loss_scale(axes, [0.0, 0.5])
    low, high = axes.get_ylim()
    assert 0 < low < 1e-6
    assert high > 0.5
