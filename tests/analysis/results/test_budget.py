import pytest

from analysis.records.ledger import Ledger, SessionEnded
from analysis.results.budget import describe_budget, n_planned, read_duration, write_duration
from in_memory import apply, begin_ledger, make_ledger, session_started, trial_epoch, trial_started


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [("90s", 90, "1m30s"), ("30m", 1800, "30m"), ("1h30m", 5400, "1h30m"), ("2h5s", 7205, "2h5s")],
)
def test_duration_is_read_and_written(text, seconds, written):
    assert read_duration(text) == seconds
    assert write_duration(seconds) == written
    assert read_duration(written) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "m", "0s", "-5m", "1.5h", "30m1h", "30 m", "5m\n", "٣m", "9999999h"]
)
def test_other_text_is_no_duration(text):
    with pytest.raises(ValueError, match="not a duration"):
        read_duration(text)


def _ledger(budget: str | None, *, started: list[int]) -> Ledger:
    """Return a ledger with 10 seconds of work in each of two sessions, an hour apart."""
    ended = SessionEnded(3620.0, "interrupted")
    last = trial_epoch(started[0], 1, time=3620.0) if started else ended
    return apply(
        begin_ledger({"trials": 8, "time_budget": budget}),
        session_started(slots=2),
        *(trial_started(trial_id, time=1.0) for trial_id in started),
        SessionEnded(10.0, "interrupted"),
        session_started(slots=2, time=3610.0),
        last,
    )


@pytest.mark.parametrize(
    ("budget", "started", "planned"),
    [
        (None, [1, 2], 8),
        ("21s", [1, 2], 8),
        ("20s", [1, 2], 2),
        ("20s", [1, 3], 3),  # trial 2 was not recorded
        ("20s", [], 1),
    ],
)
def test_search_ends_with_the_trials_that_started_within_the_time_budget(budget, started, planned):
    assert n_planned(_ledger(budget, started=started)) == planned


def test_time_budget_that_ended_a_search_is_described():
    assert describe_budget(_ledger("21s", started=[1, 2])) is None
    found = describe_budget(_ledger("20s", started=[1, 2]))
    assert found == "the time budget of 20s is used up: the search has 2 of 8 trials"


@pytest.mark.parametrize(("n_failed", "planned"), [(0, 2), (1, 3), (2, 4), (3, 4)])
def test_used_up_budget_allows_three_trials_with_all_epochs_if_they_fail(n_failed, planned):
    failed = [("FAILED", {}, [0.5])] * n_failed
    ledger = make_ledger(("STOPPED", {}, [0.5]), *failed, time_budget="1s", trials=20)
    ledger.trials[1].preview_epochs = 1
    assert n_planned(ledger) == planned
