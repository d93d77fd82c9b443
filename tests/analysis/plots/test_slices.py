from collections.abc import Callable

import numpy as np
import pytest

from analysis.plots.results import Results
from analysis.plots.slices import draw_slices, slices
from analysis.plots.style import SKY, STOPPED, VERMILLION, plot_style
from analysis.records.ledger import Ledger


def test_slices_know_the_values_of_the_best(make_ledger: Callable[..., Ledger]) -> None:
    trials = [
        ("COMPLETE", {"dropout": d, "weight_decay": 1e-4}, [0.9, 0.9, 0.9, 0.99 - d / 10])
        for d in (0.3, 0.1, 0.4, 0.2, 0.5)
    ]
    data = slices(make_ledger(*trials))
    assert data.n_best == 3
    assert data.best_values(data.points.dimensions[0]) == [0.1, 0.2, 0.3]


def test_draw_slices_shows_trials_without_a_score_where_they_lie(
    some_ledger: Ledger, only_search: Callable[[Ledger], Results]
) -> None:
    with plot_style():
        picture = draw_slices(only_search(some_ledger))
    dropout = picture.figure.axes[0]
    xs = {
        str(line.get_color()): np.asarray(line.get_xdata()).tolist()
        for line in dropout.get_lines()
        if line.get_color() in (STOPPED, VERMILLION)
    }
    assert xs == {STOPPED: [1.0], VERMILLION: [pytest.approx(0.2)]}


def test_draw_slices_shows_a_wreck_below_the_others(
    ledger_with_a_wreck: Ledger, only_search: Callable[[Ledger], Results]
) -> None:
    with plot_style():
        picture = draw_slices(only_search(ledger_with_a_wreck))
    dropout = picture.figure.axes[0]
    (wreck,) = [line for line in dropout.get_lines() if line.get_marker() == "v"]
    assert (np.asarray(wreck.get_xdata()).tolist(), wreck.get_color()) == ([1.0], SKY)
    assert dropout.get_ylim()[0] > 0.97
    labels = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert labels[1:] == ["best 3, with their range", "other finished (2)", "far below (1)"]


def test_draw_slices_marks_the_best_trial(
    some_ledger: Ledger, only_search: Callable[[Ledger], Results]
) -> None:
    with plot_style():
        picture = draw_slices(only_search(some_ledger))
    weight_decay = picture.figure.axes[1]
    (star,) = [line for line in weight_decay.get_lines() if line.get_marker() == "*"]
    assert np.asarray(star.get_xdata()).tolist() == [pytest.approx(0.75)]
    assert np.asarray(star.get_ydata()).tolist() == [0.99]
    assert "trial, 3, reached 99.00 % with dropout 0, weight decay 0.001" in picture.alt
