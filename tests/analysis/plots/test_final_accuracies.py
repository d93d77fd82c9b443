import numpy as np
import pytest

from analysis.plots.final_accuracies import describe_summary, draw_final_accuracies
from analysis.plots.results import read_results
from analysis.plots.style import INK
from analysis.results.statistics import Summary
from in_memory import make_confirmation
from shown import show

# Student's t at 0.975 with 3 degrees of freedom, times the standard error.
HALF = 3.182446 * 0.001 * (2 / 3) ** 0.5 / 4**0.5


def test_final_accuracies_are_the_last_epochs(some_ledger):
    confirmation = make_confirmation(
        {"finalist": {1: 0.992, 2: None, 3: 0.99}, "plain": {1: None}}
    )
    shown = show(draw_final_accuracies, some_ledger, confirmation)
    seeds, mean = shown.figure.axes[0].get_lines()
    assert (seeds.get_xdata().tolist(), mean.get_xdata().tolist()) == ([0.992, 0.99], [0.991])
    assert shown.alt.endswith("seed: the finalist 99.10 % (2 seeds, no interval).")
    assert "Left out: 2 runs that did not finish." in shown.text


def test_a_single_seed_has_no_mean(some_ledger):
    shown = show(draw_final_accuracies, some_ledger, make_confirmation({"finalist": {1: 0.99}}))
    assert len(shown.figure.axes[0].get_lines()) == 1
    assert shown.legend == ["one seed"]


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        (Summary(5, 0.9921, 0.0005, (0.99148, 0.99272)), "99.21 % (99.15 to 99.27)"),
        (Summary(1, 0.9921, None, None), "99.21 % (1 seed)"),
    ],
)
def test_describe_summary(summary, expected):
    assert describe_summary(summary) == expected


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ({1: 0.99, 2: 0.991, 3: 0.991, 4: 0.992}, [0.991 - HALF, 0.991 + HALF]),
        ({1: 0.99}, []),
        # Accuracies are never below 0 or above 1.
        ({1: 1.0, 2: 0.2, 3: 0.1, 4: 0.1}, [0.0, 1.0]),
    ],
)
def test_draw_final_accuracies_draws_the_interval_of_the_mean(some_ledger, accuracies, expected):
    confirmation = make_confirmation({"finalist": accuracies})
    lines = show(draw_final_accuracies, some_ledger, confirmation).figure.axes[0].get_lines()
    bars = [line for line in lines if line.get_color() == INK and line.get_linewidth() == 2]
    ends = [end for bar in bars for end in np.asarray(bar.get_xdata(), float).tolist()]
    assert ends == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("epochs", "n"), [(9, 0), (10, 2)])
def test_draw_final_accuracies_shows_published_results_beside_long_runs(
    confirmed_folder, epochs, n
):
    folder = confirmed_folder({"n_trials": 1, "epochs": epochs}, n_seeds=1, predictions=False)
    results = read_results(folder)
    shown = show(draw_final_accuracies, results.ledger, results.confirmation)
    assert sum("99." in label for label in shown.legend) == n
    assert ("published" in shown.text) == (n > 0)
