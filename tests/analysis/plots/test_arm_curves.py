from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analysis.plots.arm_curves import arm_curves, draw_arm_curves
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger

Make = Callable[..., Confirmation]


def test_arm_curves_are_over_the_finished_seeds(make_confirmation: Make) -> None:
    confirmation = make_confirmation({"finalist": {1: 0.99, 2: None, 3: 0.97, 4: 0.98}})
    data = arm_curves(confirmation, "finalist")
    assert (data.n, data.n_unfinished) == (3, 1)
    assert data.test_accuracy.mean == pytest.approx(np.array([0.999, 0.98]))
    assert data.test_accuracy.low.tolist() == [0.999, 0.97]
    assert data.test_accuracy.high.tolist() == [0.999, 0.99]
    assert data.train_accuracy.mean == pytest.approx(np.array([0.97, 0.97]))
    assert data.train_loss.mean == pytest.approx(np.array([0.1, 0.1]))
    assert data.test_loss.mean == pytest.approx(np.array([0.02, 0.02]))


@pytest.mark.parametrize(
    ("accuracies", "legend", "n_bands"),
    [
        ({1: 0.98}, ["mean of 1 seed"], 0),
        # Of the four quantities of these runs only the test accuracy differs between seeds.
        ({1: 0.98, 2: 0.99}, ["mean of 2 seeds", "lowest to highest seed"], 1),
    ],
)
def test_draw_arm_curves_draws_bands_of_several_seeds(
    make_confirmation: Make,
    some_ledger: Ledger,
    show: Callable[..., Any],
    accuracies: dict[int, float],
    legend: list[str],
    n_bands: int,
) -> None:
    confirmation = make_confirmation({"mlp": accuracies})
    shown = show(draw_arm_curves, some_ledger, confirmation, arm="mlp")
    assert len(shown.figure.axes) == 4
    assert shown.legend == legend
    assert sum(len(axes.collections) for axes in shown.figure.axes) == n_bands
