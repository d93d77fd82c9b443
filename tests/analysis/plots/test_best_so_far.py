from collections.abc import Callable

import msgspec
import pytest

from analysis.plots.best_so_far import Finish, draw_best_so_far, rise
from analysis.plots.picture import NothingToDrawError
from analysis.plots.results import Results
from analysis.plots.style import plot_style
from analysis.records.ledger import Ledger, SessionStarted, TrialEnded, read_ledger
from analysis.results.cost import search_cost
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder


def test_rise_follows_the_trials_that_ran_all_epochs(some_ledger: Ledger) -> None:
    data = rise(some_ledger)
    assert data.finishes == (
        Finish(trial_id=1, epochs=4, seconds=8.0, score=0.985, best=0.985),
        Finish(trial_id=3, epochs=9, seconds=18.0, score=0.99, best=0.99),
    )
    assert (data.epochs, data.seconds) == (11, 22.0)


def test_rise_never_falls(make_ledger: Callable[..., Ledger]) -> None:
    ledger = make_ledger(
        ("COMPLETE", {}, [0.9, 0.9, 0.9, 0.98]), ("COMPLETE", {}, [0.9, 0.9, 0.9, 0.95])
    )
    assert [finish.best for finish in rise(ledger).finishes] == [0.98, 0.98]


def test_rise_leaves_out_the_pause_before_a_session(make_ledger: Callable[..., Ledger]) -> None:
    ledger = make_ledger(("COMPLETE", {}, [0.9, 0.9, 0.9, 0.98]))
    ledger.apply(SessionStarted(10_000.0, "host", 2, 1))
    assert rise(ledger).seconds == 8.0


def test_rise_takes_as_long_as_the_search_cost(search_folder: Callable[..., Folder]) -> None:
    ledger = read_ledger(search_folder(n_trials=12))
    ledger.ended = None  # the driver's own last moments are no trial's
    cost = search_cost(ledger)
    data = rise(ledger)
    assert data.epochs == cost.epochs
    assert data.seconds == pytest.approx(cost.elapsed_s)


def test_rise_needs_a_trial_that_ran_all_epochs(make_ledger: Callable[..., Ledger]) -> None:
    with pytest.raises(NothingToDrawError, match="no trial has run all its epochs"):
        rise(make_ledger(("STOPPED", {}, [0.9])))


def test_winner_is_the_trial_that_ranks_first(make_ledger: Callable[..., Ledger]) -> None:
    equal = ("COMPLETE", {}, [0.9, 0.9, 0.9, 0.95])
    ledger = make_ledger(("COMPLETE", {}, [0.9, 0.9, 0.9, 0.9]), equal, equal)
    *others, ended = ledger.records
    earlier = next(record.time for record in others if isinstance(record, TrialEnded))
    ledger.records = [*others, msgspec.structs.replace(ended, time=earlier + 0.1)]
    data = rise(ledger)
    assert [finish.trial_id for finish in data.finishes] == [1, 3, 2]
    assert data.finishes[data.winner].trial_id == rank_trials(ledger)[0].trial.trial_id == 2


def test_draw_best_so_far_says_what_is_far_below(
    ledger_with_a_wreck: Ledger, only_search: Callable[[Ledger], Results]
) -> None:
    with plot_style():
        picture = draw_best_so_far(only_search(ledger_with_a_wreck))
    words = " ".join(text.get_text() for text in picture.figure.texts).replace("\n", " ")
    assert "Not drawn: 1 trial far below." in words
    assert picture.figure.axes[0].get_ylim()[0] > 0.97
