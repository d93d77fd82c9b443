import numpy as np
import pytest
from msgspec.structs import replace

from analysis.plots.confusion import confusion, draw_confusion
from analysis.records.dataset import DataRecord
from analysis.records.predictions import Predictions
from in_memory import make_confirmation, make_ledger
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


@pytest.mark.parametrize(
    ("n_classes", "n_right", "cells"),
    [
        (10, 5000, {"> 99.9 %": 1, "100.0 %": 1, "–": 8}),
        (10, 1999, {"> 99.9 %": 1}),
        (10, 1000, {"99.9 %": 1}),
        (13, 5000, {"> 99": 1, "100": 1, "–": 11}),
        (13, 99, {"99": 1}),
    ],
)
def test_class_with_an_error_is_never_recognized_at_100_percent(n_classes, n_right, cells):
    ledger = make_ledger(("COMPLETE", {}, [0.9] * 4))
    classes = tuple(map(str, range(1000, 1000 + n_classes)))
    ledger.created = replace(ledger.created, data=DataRecord(classes=classes))
    confirmation = make_confirmation({"finalist": {1: 0.99}})
    labels = [4] * n_right + [4, 9]
    predictions = {1: answers(labels, [4] * n_right + [9, 9])}
    shown = show(draw_confusion, ledger, confirmation, predictions)
    texts = [text.get_text() for text in shown.figure.axes[0].texts]
    assert {cell: texts.count(cell) for cell in cells} == cells
