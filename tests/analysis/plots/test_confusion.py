import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.plots.confusion import confusion, draw_confusion
from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.style import plot_style
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger
from analysis.records.predictions import Predictions, ShownImages


def answers(labels: list[int], predicted: list[int]) -> Predictions:
    return Predictions(
        np.array(predicted, np.uint8), np.full(len(labels), 0.9), np.array(labels, np.uint8)
    )


def test_confusion_adds_up_the_runs() -> None:
    counts = confusion([answers([4, 4, 9], [4, 9, 9]), answers([4, 4, 9], [9, 9, 0])])
    expected = np.zeros((10, 10), int)
    expected[4, 4], expected[4, 9], expected[9, 9], expected[9, 0] = 1, 3, 1, 1
    assert np.array_equal(counts, expected)


def draw(ledger: Ledger, confirmation: Confirmation, predictions: Predictions) -> Picture:
    results = Results(ledger, confirmation, {("finalist", 1): predictions}, ShownImages.none())
    with plot_style():
        return draw_confusion(results)


def cell_texts(figure: Figure) -> list[str]:
    return sorted(text.get_text() for text in figure.axes[0].texts)


def test_draw_confusion_writes_errors_and_recognition(
    some_ledger: Ledger, make_confirmation: Callable[..., Confirmation]
) -> None:
    confirmation = make_confirmation({"finalist": {1: 0.99}}, first_trial=3)
    picture = draw(some_ledger, confirmation, answers([4, 4, 4, 9], [4, 9, 9, 9]))
    texts = cell_texts(picture.figure)
    assert "33.3 %" in texts
    assert "100.0 %" in texts
    # The cell, and three sums: of its row, of its column, of all.
    assert texts.count("2") == 4
    assert "Most often a 4 is taken for a 9: 2 times." in picture.alt


def test_draw_confusion_bears_no_errors_and_missing_digits(
    some_ledger: Ledger, make_confirmation: Callable[..., Confirmation]
) -> None:
    confirmation = make_confirmation({"finalist": {1: 1.0}}, first_trial=3)
    picture = draw(some_ledger, confirmation, answers([4], [4]))
    assert "1 seed together: 0 errors." in picture.alt


def test_draw_confusion_needs_a_finalists_predictions(
    some_ledger: Ledger, make_confirmation: Callable[..., Confirmation]
) -> None:
    confirmation = make_confirmation({"finalist": {1: 0.99}}, first_trial=3)
    results = Results(some_ledger, confirmation, {}, ShownImages.none())
    with pytest.raises(NothingToDrawError, match="no run of the finalist has finished"):
        draw_confusion(results)
    with pytest.raises(NothingToDrawError, match="`sweep confirm made`"):
        draw_confusion(dataclasses.replace(results, confirmation=None))


def test_draw_confusion_is_of_the_best_trial_alone(
    some_ledger: Ledger, make_confirmation: Callable[..., Confirmation]
) -> None:
    confirmation = make_confirmation({"finalist-1": {1: 0.99}, "finalist-2": {1: 0.98}})
    both = {
        ("finalist-1", 1): answers([4, 4], [9, 9]),
        ("finalist-2", 1): answers([4, 4], [4, 9]),
    }
    results = Results(some_ledger, confirmation, both, ShownImages.none())
    # The best trial is the third: nobody has confirmed it, however good the others are.
    with pytest.raises(NothingToDrawError, match="not confirmed yet. `sweep confirm made`"):
        draw_confusion(results)
    renumbered = make_confirmation(
        {"finalist-1": {1: 0.99}, "finalist-2": {1: 0.98}}, first_trial=2
    )
    with plot_style():
        picture = draw_confusion(dataclasses.replace(results, confirmation=renumbered))
    assert picture.alt.startswith("Confusion matrix of the finalist-2, 1 seed together: 1 errors.")
