import numpy as np
import pytest
from msgspec.structs import replace

from analysis.plots.misclassified import draw_misclassified, mistakes
from analysis.plots.results import NothingToDrawError, Results
from analysis.plots.style import plot_style
from analysis.records.dataset import DataRecord
from analysis.records.predictions import Predictions, ShownImages
from in_memory import make_confirmation

PREDICTIONS = Predictions(
    predicted=np.array([7, 9, 1, 0, 3], np.uint8),
    confidence=np.array([0.9, 0.5, 0.99, 0.75, 0.5], np.float16),
    labels=np.array([7, 4, 2, 6, 8], np.uint8),
)


def images_of(*indices: int) -> ShownImages:
    pixels = np.stack([np.full((28, 28), index, np.uint8) for index in indices])
    return ShownImages(np.array(indices, np.int32), pixels)


def test_mistakes_need_a_mistake_with_a_saved_image():
    right = Predictions(PREDICTIONS.labels, PREDICTIONS.confidence, PREDICTIONS.labels)
    with pytest.raises(NothingToDrawError, match="no test image is misclassified"):
        mistakes(right, images_of(1))
    with pytest.raises(NothingToDrawError, match="do not contain the misclassified images"):
        mistakes(PREDICTIONS, ShownImages.none())


def test_draw_misclassified_shows_each_image_with_its_digits(some_ledger):
    confirmation = make_confirmation({"finalist": {5: 0.99}}, first_trial=3)
    # Image 0 is no mistake, 3 is not saved; of equal confidences the earlier image comes first.
    results = Results(some_ledger, confirmation, {5: PREDICTIONS}, images_of(0, 1, 2, 4))
    with plot_style():
        picture = draw_misclassified(results)
    (axes,) = picture.figure.axes
    assert [image.get_array()[0, 0] for image in axes.images] == [2, 1, 4]
    assert [text.get_text() for text in axes.texts[:2]] == ["2, seen as 1", "99.0 %"]
    assert picture.alt == (
        "The 3 most confident of 4 errors of the finalist, seed 5. The first: 2 seen as 1, 99.0 %."
    )


@pytest.mark.parametrize(("is_digits", "cmap"), [(True, "gray_r"), (False, "gray")])
def test_long_names_of_classes_are_cut_so_that_they_differ(
    is_digits, cmap, some_ledger, monkeypatch
):
    names = [f"Tomato___{word}_blight" for word in ("", "Early", "Late", "No", "Leaf")]
    classes = (*names, "Pear", "Plum", "Fig", "Lime", "Date")
    data = DataRecord(classes=classes, is_digits=is_digits)
    monkeypatch.setattr(some_ledger, "created", replace(some_ledger.created, data=data))
    confirmation = make_confirmation({"finalist": {5: 0.99}}, first_trial=3)
    results = Results(some_ledger, confirmation, {5: PREDICTIONS}, images_of(1, 2, 3, 4))
    with plot_style():
        (axes,) = draw_misclassified(results).figure.axes
    assert {image.get_cmap().name for image in axes.images} == {cmap}
    assert axes.texts[0].get_text() == "Tom…e_blight\n→ Tom…y_blight"
