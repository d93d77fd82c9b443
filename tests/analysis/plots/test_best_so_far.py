from collections.abc import Callable
from typing import Any

import pytest

from analysis.plots.best_so_far import Finish, best_so_far, draw_best_so_far
from analysis.records.ledger import Ledger, SessionStarted, TrialEnded, read_ledger
from analysis.results.cost import search_cost
from analysis.storage.folder import Folder


def test_best_so_far_follows_the_trials_that_ran_all_epochs(some_ledger: Ledger) -> None:
    data = best_so_far(some_ledger)
    assert data.finishes == (
        Finish(trial_id=1, epochs=4, seconds=8.0, score=0.985, best=0.985),
        Finish(trial_id=3, epochs=9, seconds=18.0, score=0.99, best=0.99),
    )
    assert (data.epochs, data.seconds) == (11, 22.0)


def test_best_so_far_leaves_out_the_pause_before_a_session(
    make_ledger: Callable[..., Ledger],
) -> None:
    ledger = make_ledger(("COMPLETE", {}, [0.9, 0.9, 0.9, 0.98]))
    ledger.apply(SessionStarted(10_000.0, "host", 2, 1))
    assert best_so_far(ledger).seconds == 8.0


def test_best_so_far_agrees_with_the_cost_of_the_search(
    search_folder: Callable[..., Folder],
) -> None:
    ledger = read_ledger(search_folder(n_trials=12))
    cost, data = search_cost(ledger), best_so_far(ledger)
    assert data.epochs == cost.epochs
    assert data.seconds == pytest.approx(cost.elapsed_s)


def test_of_equal_scores_the_trial_that_started_first_is_the_best(
    make_ledger: Callable[..., Ledger],
) -> None:
    low, high = (("COMPLETE", {}, [0.9, 0.9, 0.9, last]) for last in (0.9, 0.95))
    ledger = make_ledger(low, high, high, low)
    # The third trial finishes before the second.
    ends = [i for i, record in enumerate(ledger.records) if isinstance(record, TrialEnded)]
    ledger.records.insert(ends[1], ledger.records.pop(ends[2]))
    data = best_so_far(ledger)
    assert [finish.trial_id for finish in data.finishes] == [1, 3, 2, 4]
    assert [finish.best for finish in data.finishes] == [0.9, 0.95, 0.95, 0.95]
    assert data.finishes[data.winner].trial_id == 2


def test_best_so_far_says_what_is_far_below(
    ledger_with_a_wreck: Ledger, show: Callable[..., Any]
) -> None:
    shown = show(draw_best_so_far, ledger_with_a_wreck)
    assert "Not drawn: 1 trial far below." in shown.text
    assert shown.figure.axes[0].get_ylim()[0] > 0.97
