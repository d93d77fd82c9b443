from collections.abc import Callable

import numpy as np
import pytest

from analysis.plots.arm_curves import arm_curves, draw_arm_curves
from analysis.plots.picture import NothingToDrawError
from analysis.plots.results import read_results
from analysis.plots.style import plot_style
from analysis.records.confirmation import Confirmation
from analysis.storage.folder import Folder

Make = Callable[..., Confirmation]


def test_arm_curves_are_over_the_finished_seeds(make_confirmation: Make) -> None:
    confirmation = make_confirmation({"finalist": {1: 0.99, 2: None, 3: 0.97, 4: 0.98}})
    data = arm_curves(confirmation, "finalist")
    assert (data.title, data.seeds, data.n_left_out) == ("the finalist", (1, 3, 4), 1)
    assert data.test_accuracy.mean == pytest.approx(np.array([0.999, 0.98]))
    assert data.test_accuracy.low.tolist() == [0.999, 0.97]
    assert data.test_accuracy.high.tolist() == [0.999, 0.99]
    assert data.train_accuracy.mean == pytest.approx(np.array([0.97, 0.97]))
    assert data.train_loss.mean == pytest.approx(np.array([0.1, 0.1]))
    assert data.test_loss.mean == pytest.approx(np.array([0.02, 0.02]))


def test_arm_curves_need_a_finished_run(make_confirmation: Make) -> None:
    confirmation = make_confirmation({"finalist": {1: None}})
    with pytest.raises(NothingToDrawError, match="no run of the finalist has finished"):
        arm_curves(confirmation, "finalist")


def test_draw_arm_curves_has_four_panels_and_says_what_the_band_is(
    confirmed_folder: Callable[..., Folder],
) -> None:
    results = read_results(confirmed_folder({"n_trials": 4}, n_seeds=3, predictions=False))
    with plot_style():
        picture = draw_arm_curves(results, "mlp")
    assert len(picture.figure.axes) == 4
    keys = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert keys == ["mean of 3 seeds", "lowest to highest seed"]
    assert "band: lowest to highest of 3 seeds" in picture.alt


def test_draw_arm_curves_of_one_seed_has_no_band(
    confirmed_folder: Callable[..., Folder],
) -> None:
    results = read_results(confirmed_folder({"n_trials": 4}, n_seeds=1, predictions=False))
    with plot_style():
        picture = draw_arm_curves(results, "mlp")
    keys = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert keys == ["mean of 1 seed"]
    assert not any(axes.collections for axes in picture.figure.axes)
