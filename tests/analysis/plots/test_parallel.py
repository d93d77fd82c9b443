from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.plots.importance import importances
from analysis.plots.parallel import draw_parallel, parallel
from analysis.plots.points import points
from in_memory import make_ledger
from shown import show


def test_parallel_gives_heights_best_first(some_ledger):
    data = parallel(some_ledger)
    assert data.scored == pytest.approx(np.array([[0.0, 0.75, 1.0], [0.5, 0.5, 0.0]]))
    assert data.stopped == pytest.approx(np.array([[1.0, 1.0]]))
    assert next(iter(data.axes[-1].ticks().values())) == "98.5"


def test_parallel_without_stopped_trials_has_no_such_lines():
    values = {"dropout": 0.1, "weight_decay": 1e-4}
    data = parallel(make_ledger(("COMPLETE", values, [0.9, 0.9, 0.9, 0.95])))
    assert data.stopped.shape == (0, 2)
    assert data.scored[:, -1].tolist() == [0.5]


def test_parallel_thins_many_lines_but_keeps_the_ends():
    values = {"dropout": 0.1, "weight_decay": 1e-4}
    trials = [("COMPLETE", values, [0.9 + i / 1e5]) for i in range(400)]
    data = parallel(make_ledger(*trials, epochs=1))
    assert data.scored.shape == (150, 3)
    assert data.scored[0, -1] == 1.0
    assert data.scored[-1, -1] == 0.0
    assert np.all(np.diff(data.scored[:, -1]) <= 0)


def many_arguments(n_trials):
    """Return a ledger in which the last of 30 hyperparameters decides about the score."""
    names = [f"model.argument_{i}" for i in range(30)]
    rng = np.random.default_rng(0)
    draws = [dict(zip(names, map(float, rng.random(30)), strict=True)) for _ in range(n_trials)]
    trials = [("COMPLETE", draw, [0.9, 0.9, 0.9, 0.9 + draw[names[-1]] / 20]) for draw in draws]
    return make_ledger(*trials, space={name: {"low": 0.0, "high": 1.0} for name in names})


@pytest.mark.parametrize(("n_trials", "which"), [(11, "first"), (40, "most important")])
def test_parallel_shows_at_most_eight_hyperparameters(n_trials, which):
    ledger = many_arguments(n_trials)
    numbers = [int(axis.name.rpartition("_")[2]) for axis in parallel(ledger).axes[:-1]]
    assert numbers == sorted(numbers)
    if which == "first":
        assert numbers == list(range(8))
    else:
        assert sorted(numbers) == sorted(
            int(row.name.rpartition("_")[2]) for row in importances(ledger)[:8]
        )
        assert 29 in numbers
    shown = show(draw_parallel, ledger)
    assert f"The 8 {which} of 30 hyperparameters." in shown.text
    assert shown.alt.count("model.argument") == 8


def test_parallel_shows_names_that_do_not_overlap():
    figure = show(draw_parallel, many_arguments(1)).figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = [text for text in figure.axes[0].texts if text.get_fontsize() == 9.5]
    boxes = [name.get_window_extent(canvas.get_renderer()) for name in names]
    assert {name.get_text() for name in names} > {"model.", "argument 7"}
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2) if a.y0 == b.y0)


def test_parallel_says_which_scores_are_below_the_axis(ledger_with_a_wreck):
    shown = show(draw_parallel, ledger_with_a_wreck)
    assert parallel(ledger_with_a_wreck).scored[:, -1].tolist() == [0.5] * 5 + [0.0]
    assert "1 trial far below the others: lowest color." in shown.text
    assert "from 10.00 to 98.00 %" in shown.alt


def test_parallel_has_a_bar_of_the_colors_and_no_bar_of_one_score(some_ledger):
    (axes,) = show(draw_parallel, some_ledger).figure.axes
    (bar,) = axes.get_images()
    left, right, low, high = bar.get_extent()
    # It stands on the axis of the score, the last one, on which the lines end.
    assert (left, low, high) == (2, 0, 1)
    ticks = [text for text in axes.texts if text.get_position()[0] > right]
    assert [text.get_text() for text in ticks][:1] == ["98.5"]
    values = {"dropout": 0.1, "weight_decay": 1e-4}
    (axes,) = show(draw_parallel, make_ledger(("COMPLETE", values, [0.9]), epochs=1)).figure.axes
    assert not axes.get_images()


def test_parallel_shows_previews_by_their_scores(ledger_with_previews):
    shown = show(draw_parallel, ledger_with_previews)
    assert shown.legend == ["best: trial 6", "previews (5)"]
    data, scores = parallel(ledger_with_previews), points(ledger_with_previews).score
    expected = [scores.position(preview.score) for preview in data.points.previews]
    assert data.previews[:, -1].tolist() == expected
    assert "previews: accuracy after their last epoch" in shown.text


def test_parallel_shows_lines_behind_labels_which_stay_text(some_ledger):
    (axes,) = show(draw_parallel, some_ledger).figure.axes
    boxes = [text.get_bbox_patch() for text in axes.texts]
    assert max(box.get_alpha() for box in boxes if box) < 1
    assert not any(text.get_path_effects() for text in axes.texts)
