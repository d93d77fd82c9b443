from collections.abc import Callable

import pytest

from analysis.plots.comparison_curves import comparison_curves, draw_comparison_curves
from analysis.plots.picture import NothingToDrawError
from analysis.plots.results import Results
from analysis.plots.style import plot_style
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger
from analysis.records.predictions import ShownImages

Make = Callable[..., Confirmation]


def test_comparison_curves_tell_the_arms_without_a_finished_run(make_confirmation: Make) -> None:
    confirmation = make_confirmation({"finalist": {1: 0.99}, "plain": {1: None}, "mlp": {}})
    data = comparison_curves(confirmation)
    assert [arm.arm for arm in data.arms] == ["finalist"]
    assert data.missing == ("the plain", "the mlp")


def test_comparison_curves_need_a_finished_run(make_confirmation: Make) -> None:
    with pytest.raises(NothingToDrawError, match="no run of the confirmation has finished"):
        comparison_curves(make_confirmation({"finalist": {1: None}}))


def test_draw_comparison_curves_names_every_arm_with_its_accuracy(
    make_confirmation: Make, some_ledger: Ledger
) -> None:
    confirmation = make_confirmation(
        {"finalist": {1: 0.992, 2: 0.991}, "plain": {1: 0.98}, "mlp": {1: None}}
    )
    results = Results(some_ledger, confirmation, {}, ShownImages.none())
    with plot_style():
        picture = draw_comparison_curves(results)
    keys = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert keys == ["the finalist: 99.15 %", "the plain: 98.00 %"]
    words = " ".join(text.get_text() for text in picture.figure.texts).replace("\n", " ")
    assert "1 or 2 seeds each" in words
    assert "No finished run yet: the mlp." in words
