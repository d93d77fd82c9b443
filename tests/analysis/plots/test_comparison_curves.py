from collections.abc import Callable
from typing import Any

from analysis.plots.comparison_curves import comparison_curves, draw_comparison_curves
from analysis.plots.results import Results
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger
from analysis.records.predictions import ShownImages

Make = Callable[..., Confirmation]


def test_comparison_curves_list_the_arms_without_a_finished_run(make_confirmation: Make) -> None:
    confirmation = make_confirmation({"finalist": {1: 0.99}, "plain": {1: None}, "mlp": {}})
    data = comparison_curves(confirmation)
    assert [arm.arm for arm in data.arms] == ["finalist"]
    assert data.missing == ("the plain", "the mlp")


def test_draw_comparison_curves_names_every_arm_with_its_accuracy(
    make_confirmation: Make, some_ledger: Ledger, show: Callable[..., Any]
) -> None:
    confirmation = make_confirmation(
        {"finalist": {1: 0.992, 2: 0.991}, "plain": {1: 0.98}, "mlp": {1: None}}
    )
    results = Results(some_ledger, confirmation, {}, ShownImages.none())
    shown = show(draw_comparison_curves, results)
    assert shown.legend == ["the finalist: 99.15 %", "the plain: 98.00 %"]
    assert "1 or 2 seeds per arm" in shown.text
    assert "No finished run yet: the mlp." in shown.text
