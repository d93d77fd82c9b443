import numpy as np
import pytest

from analysis.plots.confusion import confusion, draw_confusion
from analysis.records.predictions import Predictions
from in_memory import make_confirmation
from shown import show


def answers(labels: list[int], predicted: list[int]) -> Predictions:
    return Predictions(
        np.array(predicted, np.uint8), np.full(len(labels), 0.9), np.array(labels, np.uint8)
    )


def test_confusion_adds_up_the_runs():
    counts = confusion([answers([4, 4, 9], [4, 9, 9]), answers([4, 4, 9], [9, 9, 0])], 10)
    expected = np.zeros((10, 10), int)
    expected[4, 4], expected[4, 9], expected[9, 9], expected[9, 0] = 1, 3, 1, 1
    assert np.array_equal(counts, expected)


@pytest.mark.parametrize(
    ("predicted", "cells", "alt"),
    [
        (
            [4, 9, 9, 9],
            # The cell with errors, and the sums of its row, of its column and of all.
            {"33.3 %": 1, "100.0 %": 1, "–": 8, "2": 4},
            "1 seed: 2 errors. The most frequent error: 4 predicted as 9, 2 times.",
        ),
        ([4, 4, 4, 9], {"100.0 %": 2}, "1 seed: 0 errors."),
    ],
)
def test_draw_confusion_shows_errors_and_recognized_parts(some_ledger, predicted, cells, alt):
    confirmation = make_confirmation({"finalist": {1: 0.99}}, first_trial=3)
    predictions = {1: answers([4, 4, 4, 9], predicted)}
    shown = show(draw_confusion, some_ledger, confirmation, predictions)
    texts = [text.get_text() for text in shown.figure.axes[0].texts]
    assert {cell: texts.count(cell) for cell in cells} == cells
    assert shown.alt == f"Confusion matrix of the finalist, {alt}"
