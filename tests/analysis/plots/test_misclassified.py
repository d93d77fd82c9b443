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


@pytest.mark.parametrize(
    ("images", "n", "expected"),
    [
        # Of mistakes with the same confidence, the earlier image comes first.
        ([1, 2, 3, 4], 10, [2, 3, 1, 4]),
        ([1, 2, 3, 4], 2, [2, 3]),
        ([0, 1], 10, [1]),
    ],
)
def test_mistakes_are_the_most_confident_with_a_saved_image(
    images: list[int], n: int, expected: list[int]
) -> None:
    data = mistakes(PREDICTIONS, images_of(*images), n)
    assert [mistake.index for mistake in data.shown] == expected
    assert data.n_total == 4
    for mistake in data.shown:
        assert mistake.label == PREDICTIONS.labels[mistake.index]
        assert mistake.predicted == PREDICTIONS.predicted[mistake.index]
        assert mistake.confidence == PREDICTIONS.confidence[mistake.index]
        assert np.all(mistake.image == mistake.index)


def test_mistakes_need_a_mistake_with_a_saved_image() -> None:
    right = Predictions(PREDICTIONS.labels, PREDICTIONS.confidence, PREDICTIONS.labels)
    with pytest.raises(NothingToDrawError, match="no test image is misclassified"):
        mistakes(right, images_of(1), 10)
    with pytest.raises(NothingToDrawError, match="do not contain the misclassified images"):
        mistakes(PREDICTIONS, ShownImages.none(), 10)
