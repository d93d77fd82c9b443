import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.gallery import SEARCH_PLOTS, draw
from analysis.plots.results import Results
from analysis.plots.slices import draw_slices
from analysis.plots.style import BLUE, SKY, STOPPED, VERMILLION
from analysis.records.predictions import ShownImages
from in_memory import make_ledger
from shown import show


def xs(axes: Axes, color: str) -> list[float]:
    """Returns the positions of the marks of one color."""
    (line,) = [line for line in axes.get_lines() if line.get_color() == color]
    return list(np.asarray(line.get_xdata(), float).tolist())


def test_slices_show_trials_without_a_score_at_their_values(some_ledger):
    dropout, weight_decay = show(draw_slices, some_ledger).figure.axes
    assert xs(dropout, STOPPED) == [1.0]
    assert xs(dropout, VERMILLION) == [pytest.approx(0.2)]
    assert xs(weight_decay, STOPPED) == [1.0]


def test_slices_show_a_very_low_score_below_the_others(ledger_with_a_wreck):
    shown = show(draw_slices, ledger_with_a_wreck)
    dropout = shown.figure.axes[0]
    (wreck,) = [line for line in dropout.get_lines() if line.get_marker() == "v"]
    assert (np.asarray(wreck.get_xdata()).tolist(), wreck.get_color()) == ([1.0], SKY)
    assert dropout.get_ylim()[0] > 0.97
    # Six trials are too few for a range of the best.
    assert shown.legend == ["best: trial 1", "other finished (4)", "far below (1)"]


def test_slices_tell_previews_from_what_is_below_the_line(some_ledger, ledger_with_previews):
    text = show(draw_slices, ledger_with_previews).text
    assert "Open circles: previews, with the accuracy after their epochs." in text
    assert "Below the line: trials that are far below the others." in text
    text = show(draw_slices, some_ledger).text
    assert "Below the line: trials that were stopped early or failed." in text
    assert "previews" not in text


def test_slices_mark_the_best_trials():
    trials = [
        ("COMPLETE", {"dropout": d, "weight_decay": 1e-3}, [0.9, 0.9, 0.9, 0.99 - d / 10])
        for d in (0.3, 0.1, 0.4, 0.2, 0.5, 0.35, 0.45, 0.25)
    ]
    shown = show(draw_slices, make_ledger(*trials))
    dropout = shown.figure.axes[0]
    (star,) = [line for line in dropout.get_lines() if line.get_marker() == "*"]
    assert np.asarray(star.get_xydata()).tolist() == [[pytest.approx(0.2), pytest.approx(0.98)]]
    assert xs(dropout, BLUE) == pytest.approx([0.4, 0.5])
    # The range of three values says little.
    assert not dropout.patches
    assert shown.legend == ["best: trial 2", "next best 2", "other finished (5)"]
    assert "trial, 2, reached 98.00 % with dropout 0.1, weight decay 0.001" in shown.alt


def test_slices_shade_the_range_of_the_best_of_many_trials():
    trials = [
        ("COMPLETE", {"dropout": d / 200, "weight_decay": 1e-3}, [0.9, 0.9, 0.9, 0.99 - d / 2e4])
        for d in range(20, 100)
    ]
    shown = show(draw_slices, make_ledger(*trials))
    dropout = shown.figure.axes[0]
    # From the lowest to the highest value of the best eight, and a little wider.
    (shade,) = dropout.patches
    ends = shade.get_window_extent().transformed(dropout.transData.inverted())
    assert (ends.x0, ends.x1) == pytest.approx((0.2, 0.27), abs=0.01)
    assert shown.legend == [
        "best: trial 1",
        "next best 7 (shaded: range of 8)",
        "other finished (72)",
    ]


def test_slices_of_one_hyperparameter_are_drawn_into_axes():
    space = {"dropout": {"low": 0.0, "high": 0.5}}
    ledger = make_ledger(("COMPLETE", {"dropout": 0.1}, [0.9] * 4), space=space)
    (plot,) = [plot for plot in SEARCH_PLOTS if plot.name == "slices"]
    axes = Figure().subplots()
    draw(plot, Results(ledger, None, {}, ShownImages.none()), axes)
    assert (axes.get_xlabel(), axes.get_title("left")) == ("dropout", plot.title)


def test_long_labels_of_choices_do_not_overlap():
    choices = [f"normalization number {i}" for i in range(6)]
    space = {"model.norm": choices, "dropout": {"low": 0.0, "high": 0.5}}
    shown = show(
        draw_slices, make_ledger(("COMPLETE", {"model.norm": choices[0]}, [0.9]), space=space)
    )
    norm, dropout = shown.figure.axes
    assert [axes.get_xticklabels()[0].get_rotation() for axes in (norm, dropout)] == [30, 0]
    labels = [label.get_text() for label in norm.get_xticklabels()]
    assert labels[0] == "normaliz…umber 0"
    assert len(set(labels)) == 6
