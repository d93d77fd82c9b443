import re

import numpy as np
import pytest

from analysis.plots.gallery import SEARCH_PLOTS, render
from analysis.plots.pairs import draw_pairs
from analysis.plots.results import NothingToDrawError, Results
from analysis.plots.style import sequence
from analysis.records.predictions import ShownImages
from in_memory import CONFIG, make_ledger
from shown import show

WIDE = {f"model.{name}": {"low": 0.0, "high": 1.0} for name in "abcdefg"}


def trials(n, names=("dropout", "weight_decay")):
    """Return n trials that ran all their four epochs, each better than the one before."""
    return [
        ("COMPLETE", dict.fromkeys(names, 0.001 * (i + 1)), [0.9, 0.9, 0.9, 0.95 + i / 1000])
        for i in range(n)
    ]


def dots(axes):
    """Return the positions [n, 2] of the trials that are colored, and their colors [n, 4]."""
    found = [dots for dots in axes.collections if len(dots.get_offsets())]
    return (
        np.concatenate([np.asarray(dots.get_offsets()) for dots in found]),
        np.concatenate([dots.get_facecolor() for dots in found]),
    )


def test_each_trial_is_at_its_values_in_the_color_of_its_score():
    axes, _bar = show(draw_pairs, make_ledger(*trials(10))).figure.axes
    places, colors = dots(axes)
    # The best trial is a star; its color would be the darkest one.
    assert places[:, 0] == pytest.approx([0.002 * (i + 1) for i in range(9)])
    assert np.all(np.diff(places[:, 1]) > 0)
    assert colors[0] == pytest.approx(sequence(np.array([0.0]))[0])
    star = axes.lines[-1]
    assert star.get_marker() == "*"
    assert star.get_xdata() == pytest.approx([0.02])


def test_each_pair_has_a_panel_below_the_diagonal():
    space = CONFIG["space"] | {"shift": {"low": 0.0, "high": 1.0}}
    ledger = make_ledger(*trials(8, space), space=space)
    *panels, bar = show(draw_pairs, ledger).figure.axes
    shown = [axes for axes in panels if axes.get_visible()]
    assert len(shown) == 3
    names = [(axes.get_xlabel(), axes.get_ylabel()) for axes in panels]
    assert [x for x, _ in names[2:]] == ["dropout", "weight decay"]
    assert [y for _, y in names[::2]] == ["weight decay", "shift (of the image side)"]
    assert bar.get_ylabel() == "validation accuracy (%)"
    assert bar.get_yticklabels()[0].get_text() == "95.0"


def test_many_hyperparameters_and_trials_are_cut_and_the_note_says_so():
    values = dict.fromkeys(WIDE, 0.5)
    others = [*[("STOPPED", values, [0.9])] * 301, ("FAILED", values, [])]
    shown = show(draw_pairs, make_ledger(*trials(8, WIDE), *others, space=WIDE))
    assert sum(axes.get_visible() for axes in shown.figure.axes) == 10 + 1
    assert "The first 5 of 7 hyperparameters." in shown.text
    assert "At most 300 trials of each kind are drawn" in shown.text
    assert shown.text.endswith("Not drawn: 1 trial that failed.")
    assert shown.legend == ["best: trial 8", "other finished (7)", "stopped early (301)"]


def test_choices_that_cannot_be_told_apart_when_cut_are_numbered():
    kinds = [f"a very long name, {word} in the middle, and its end" for word in ("one", "two")]
    space = {"model.kind": [*kinds, "short"], "dropout": {"low": 0.0, "high": 1.0}}
    drawn = [(state, values | {"model.kind": kinds[0]}, c) for state, values, c in trials(8)]
    axes, _bar = show(draw_pairs, make_ledger(*drawn, space=space)).figure.axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["a very l…1", "a very l…2", "short"]


def test_previews_are_colored_by_the_accuracy_after_their_epochs():
    previews = [
        ("STOPPED", {"dropout": 0.1, "weight_decay": 1e-4}, [0.9 + i / 100]) for i in range(8)
    ]
    ledger = make_ledger(*trials(1), *previews)
    for trial_id in range(2, 10):
        ledger.trials[trial_id].preview_epochs = 1
    shown = show(draw_pairs, ledger)
    _, colors = dots(shown.figure.axes[0])
    # From the lowest, of 90 %, to the highest, of 97 %; only the star, of 95 %, is no preview.
    assert colors[[0, -1]] == pytest.approx(sequence(np.array([0.0, 1.0])))
    assert shown.legend == ["best: trial 1", "previews (8)"]
    assert "previews: accuracy after their last epoch" in shown.text


def test_every_mark_in_svg_says_its_trial():
    (plot,) = [plot for plot in SEARCH_PLOTS if plot.name == "pairs"]
    stopped = ("STOPPED", {"dropout": 0.5, "weight_decay": 1e-2}, [0.8])
    results = Results(make_ledger(*trials(8), stopped), None, {}, ShownImages.none())
    svg = render(plot, results, "svg")[0].decode()
    assert re.findall(r"<title>trial (\d+):", svg) == ["9", *"12345678"]


@pytest.mark.parametrize(
    ("n_trials", "space", "reason"),
    [
        (8, {"dropout": {"low": 0.0, "high": 0.5}}, "only one hyperparameter is searched"),
        (7, CONFIG["space"], "only 7 trials with a score; at least 8 are needed"),
    ],
)
def test_too_little_is_not_drawn(n_trials, space, reason):
    with pytest.raises(NothingToDrawError, match=reason):
        show(draw_pairs, make_ledger(*trials(n_trials), space=space))
