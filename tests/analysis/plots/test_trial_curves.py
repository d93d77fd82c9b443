from collections.abc import Callable
from typing import Any

import pytest

from analysis.plots.picture import NothingToDrawError
from analysis.plots.results import Results
from analysis.plots.style import plot_style
from analysis.plots.trial_curves import Curve, draw_trial_curves, trial_curves
from analysis.records.ledger import Ledger


def test_trial_curves_are_those_of_the_trials_with_an_epoch(some_ledger: Ledger) -> None:
    data = trial_curves(some_ledger)
    assert data.curves[:2] == (
        Curve(1, "COMPLETE", (0.9, 0.95, 0.98, 0.985)),
        Curve(2, "STOPPED", (0.8,)),
    )
    assert [curve.trial_id for curve in data.curves] == [1, 2, 3, 5]
    assert (data.best, data.epochs, data.without_epoch) == (3, 4, 1)


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ({"name": "asha", "grace_period": 1, "reduction_factor": 2}, (1, 2)),
        ({"name": "asha", "grace_period": 1, "reduction_factor": 3}, (1, 3)),
        ({"name": "asha", "grace_period": 4, "reduction_factor": 3}, ()),
        ({"name": "none", "grace_period": 1, "reduction_factor": 2}, ()),
        ("none", ()),
        (None, ()),
    ],
)
def test_rungs_lie_before_the_last_epoch(
    make_ledger: Callable[..., Ledger], scheduler: Any, expected: tuple[int, ...]
) -> None:
    ledger = make_ledger(("COMPLETE", {}, [0.9]), scheduler=scheduler)
    assert trial_curves(ledger).rungs == expected


def test_trial_curves_need_an_epoch(make_ledger: Callable[..., Ledger]) -> None:
    with pytest.raises(NothingToDrawError, match="no trial has finished an epoch"):
        trial_curves(make_ledger(("FAILED", {}, [])))


def test_draw_trial_curves_says_how_the_trials_ended(
    some_ledger: Ledger, only_search: Callable[[Ledger], Results]
) -> None:
    with plot_style():
        picture = draw_trial_curves(only_search(some_ledger))
    labels = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    # The failed trial has no epoch, hence no curve, which the note below says.
    assert labels == [
        "stopped early (1)",
        "not finished (1)",
        "ran all epochs (2)",
        "best: trial 3",
        "rung",
    ]
    words = " ".join(text.get_text() for text in picture.figure.texts).replace("\n", " ")
    assert "Not drawn: 1 trial that ended before the first epoch did." in words
    assert "The best, trial 3, ends at 99.00 %." in picture.alt


def test_draw_trial_curves_counts_those_that_are_wholly_cut_off(
    make_ledger: Callable[..., Ledger], only_search: Callable[[Ledger], Results]
) -> None:
    good = ("COMPLETE", {}, [0.95, 0.96, 0.97, 0.98])
    ledger = make_ledger(*[good] * 3, ("FAILED", {}, [0.1]), ("STOPPED", {}, [0.2]))
    with plot_style():
        picture = draw_trial_curves(only_search(ledger))
    words = " ".join(text.get_text() for text in picture.figure.texts).replace("\n", " ")
    assert "Cut off: what is below 95.0 %, the whole of 2 trials." in words


def test_draw_trial_curves_says_what_is_cut_off(
    ledger_with_a_wreck: Ledger, only_search: Callable[[Ledger], Results]
) -> None:
    with plot_style():
        picture = draw_trial_curves(only_search(ledger_with_a_wreck))
    words = " ".join(text.get_text() for text in picture.figure.texts).replace("\n", " ")
    assert "Cut off: what is below 90.0 %." in words
    assert 0.8 < picture.figure.axes[0].get_ylim()[0] < 0.9
