from collections.abc import Callable
from typing import Any

from analysis.plots.comparison_curves import draw_comparison_curves
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger


def test_draw_comparison_curves_names_every_arm_with_its_accuracy(
    make_confirmation: Callable[..., Confirmation], some_ledger: Ledger, show: Callable[..., Any]
) -> None:
    confirmation = make_confirmation(
        {"finalist": {1: 0.992, 2: 0.991}, "plain": {1: 0.98}, "mlp": {1: None}, "own": {}}
    )
    shown = show(draw_comparison_curves, some_ledger, confirmation)
    assert shown.legend == ["the finalist: 99.15 %", "the plain: 98.00 %"]
    assert "1 or 2 seeds per arm" in shown.text
    assert "No finished run yet: the mlp, the own." in shown.text
