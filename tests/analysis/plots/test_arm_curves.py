import pytest

from analysis.plots.arm_curves import arm_curves, draw_arm_curves, draw_comparison_curves
from in_memory import make_confirmation
from shown import show


def test_arm_curves_are_over_the_finished_seeds():
    confirmation = make_confirmation({"finalist": {1: 0.99, 2: None, 3: 0.97, 4: 0.98}})
    curves = arm_curves(confirmation, "finalist")
    assert {name: values.tolist() for name, values in curves.items()} == {
        "train_accuracy": [[0.97, 0.97]] * 3,
        "val_accuracy": [[0.999, 0.99], [0.999, 0.97], [0.999, 0.98]],
        "train_loss": [[0.1, 0.1]] * 3,
        "val_loss": [[0.02, 0.02]] * 3,
    }


@pytest.mark.parametrize(
    ("accuracies", "legend", "n_bands"),
    [
        ({1: 0.98}, ["1 seed"], 0),
        # Of the four quantities of these runs only the test accuracy differs between seeds.
        ({1: 0.98, 2: 0.99}, ["mean of 2 seeds", "lowest to highest seed"], 1),
    ],
)
def test_bands_are_drawn_of_several_seeds(some_ledger, accuracies, legend, n_bands):
    confirmation = make_confirmation({"mlp": accuracies})
    shown = show(draw_arm_curves, some_ledger, confirmation, arm="mlp")
    assert len(shown.figure.axes) == 4
    assert shown.legend == legend
    assert sum(len(axes.collections) for axes in shown.figure.axes) == n_bands


def test_comparison_names_every_arm_with_its_accuracy(some_ledger):
    confirmation = make_confirmation(
        {"finalist": {1: 0.992, 2: 0.991, 3: None}, "plain": {1: 0.98}, "mlp": {1: None}}
    )
    shown = show(draw_comparison_curves, some_ledger, confirmation)
    assert shown.legend == ["the finalist: 99.15 %", "the plain: 98.00 %"]
    assert "1 or 2 seeds per arm" in shown.text
    assert "Left out: 1 run that did not finish. No finished run yet: the mlp." in shown.text
