import numpy as np
import pytest

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


def test_parallel_says_which_scores_are_below_the_axis(ledger_with_a_wreck):
    shown = show(draw_parallel, ledger_with_a_wreck)
    assert parallel(ledger_with_a_wreck).scored[:, -1].tolist() == [0.5] * 5 + [0.0]
    assert "1 trial far below the others: in the lowest color." in shown.text
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
    assert "of previews the accuracy after their epochs" in shown.text


def test_parallel_shows_lines_behind_labels_which_stay_text(some_ledger):
    (axes,) = show(draw_parallel, some_ledger).figure.axes
    boxes = [text.get_bbox_patch() for text in axes.texts]
    assert max(box.get_alpha() for box in boxes if box) < 1
    assert not any(text.get_path_effects() for text in axes.texts)
