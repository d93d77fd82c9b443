from collections.abc import Callable

import numpy as np
import pytest

from analysis.plots.final_accuracies import (
    REFERENCES,
    describe_summary,
    draw_final_accuracies,
    final_accuracies,
    split_at_gap,
)
from analysis.plots.picture import NothingToDrawError
from analysis.plots.results import Results
from analysis.plots.style import INK, plot_style
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger
from analysis.records.predictions import ShownImages
from analysis.results.statistics import Summary

Make = Callable[..., Confirmation]


def test_final_accuracies_are_the_last_epochs(make_confirmation: Make) -> None:
    confirmation = make_confirmation(
        {"finalist": {1: 0.992, 2: None, 3: 0.99}, "plain": {1: None}}
    )
    (finalist,) = final_accuracies(confirmation)
    assert finalist.by_seed == {1: 0.992, 3: 0.99}
    assert finalist.summary.mean == pytest.approx(0.991)


def test_final_accuracies_need_a_finished_run(make_confirmation: Make) -> None:
    with pytest.raises(NothingToDrawError, match="no run of the confirmation has finished"):
        final_accuracies(make_confirmation({"finalist": {1: None}}))


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        (Summary(5, 0.9921, 0.0005, (0.99148, 0.99272)), "99.21 % (99.15 to 99.27)"),
        (Summary(1, 0.9921, None, None), "99.21 % (1 seed, no interval)"),
        (Summary(2, 0.9921, 0.0, None), "99.21 % (2 seeds, no interval)"),
    ],
)
def test_describe_summary(summary: Summary, expected: str) -> None:
    assert describe_summary(summary) == expected


@pytest.mark.parametrize(
    ("values", "n_lower"),
    [
        ([0.992, 0.991, 0.989], 0),
        ([0.992, 0.991, 0.975, 0.974], 2),
        # Nothing is far below the references alone.
        ([0.999], 0),
        ([0.1, 0.992], 1),
        ([1.0, 0.0], 1),
    ],
)
def test_split_at_gap_parts_what_is_far_below(values: list[float], n_lower: int) -> None:
    groups = split_at_gap(values)
    references = [reference.accuracy for reference in REFERENCES]
    assert sorted(value for group in groups for value in group) == sorted(values + references)
    assert len(groups) == (2 if n_lower else 1)
    assert set(references) <= set(groups[-1])
    if n_lower:
        assert groups[0] == sorted(values)[:n_lower]


def draw(confirmation: Confirmation, ledger: Ledger) -> list[list[float]]:
    """Returns the ends of the intervals that are drawn, in the panel of the best."""
    with plot_style():
        picture = draw_final_accuracies(Results(ledger, confirmation, {}, ShownImages.none()))
    lines = picture.figure.axes[-1].get_lines()
    bars = [line for line in lines if line.get_color() == INK and line.get_linewidth() == 2]
    return [np.asarray(bar.get_xdata(), float).tolist() for bar in bars]


def test_draw_final_accuracies_draws_the_interval_that_statistics_give(
    make_confirmation: Make, some_ledger: Ledger
) -> None:
    confirmation = make_confirmation({"finalist": {1: 0.99, 2: 0.991, 3: 0.991, 4: 0.992}})
    # Student's t at 0.975 with 3 degrees of freedom is 3.182446; sd: √(2 / 3) thousandths.
    half = 3.182446 * 0.001 * (2 / 3) ** 0.5 / 4**0.5
    (interval,) = draw(confirmation, some_ledger)
    assert interval == pytest.approx([0.991 - half, 0.991 + half], abs=1e-8)


def test_draw_final_accuracies_of_one_seed_draws_no_interval(
    make_confirmation: Make, some_ledger: Ledger
) -> None:
    assert draw(make_confirmation({"finalist": {1: 0.99}}), some_ledger) == []


def test_draw_final_accuracies_never_goes_beyond_everything_right(
    make_confirmation: Make, some_ledger: Ledger
) -> None:
    (interval,) = draw(
        make_confirmation({"finalist": {1: 1.0, 2: 0.9, 3: 1.0, 4: 1.0}}), some_ledger
    )
    assert max(interval) == 1.0
