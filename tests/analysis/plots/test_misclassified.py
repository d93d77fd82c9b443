import numpy as np
import pytest

from analysis.plots.misclassified import mistakes
from analysis.plots.picture import NothingToDrawError
from analysis.records.predictions import Predictions, ShownImages

PREDICTIONS = Predictions(
    predicted=np.array([7, 9, 1, 0, 3], np.uint8),
    confidence=np.array([0.9, 0.5, 0.99, 0.75, 0.5], np.float16),
    labels=np.array([7, 4, 2, 6, 8], np.uint8),
)


def images_of(*indices: int) -> ShownImages:
    pixels = np.stack([np.full((28, 28), index, np.uint8) for index in indices])
    return ShownImages(np.array(indices, np.int32), pixels)


def test_mistakes_come_surest_first() -> None:
    data = mistakes(PREDICTIONS, images_of(1, 2, 3, 4), 10)
    assert data.n_total == 4
    found = [(m.index, m.label, m.predicted, m.confidence) for m in data.shown]
    # Of equally sure ones, the earlier image comes first.
    assert [index for index, *_ in found] == [2, 3, 1, 4]
    assert found[0][:3] == (2, 2, 1)
    assert found[0][3] == pytest.approx(0.99, abs=1e-3)
    assert all(np.all(mistake.image == mistake.index) for mistake in data.shown)


def test_mistakes_are_no_more_than_asked_for() -> None:
    data = mistakes(PREDICTIONS, images_of(1, 2, 3, 4), 2)
    assert [mistake.index for mistake in data.shown] == [2, 3]
    assert data.n_total == 4


def test_mistakes_without_an_image_are_left_out() -> None:
    data = mistakes(PREDICTIONS, images_of(0, 1), 10)
    assert [mistake.index for mistake in data.shown] == [1]
    assert data.n_total == 4


def test_mistakes_need_one() -> None:
    right = Predictions(PREDICTIONS.labels, PREDICTIONS.confidence, PREDICTIONS.labels)
    with pytest.raises(NothingToDrawError, match="no test image is misclassified"):
        mistakes(right, images_of(1), 10)


def test_mistakes_need_an_image() -> None:
    with pytest.raises(NothingToDrawError, match="not in the sweep's files"):
        mistakes(PREDICTIONS, ShownImages.none(), 10)
