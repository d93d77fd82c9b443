from typing import Any

import pytest

from analysis.records.ledger import (
    EpochRecord,
    Ledger,
    SessionEnded,
    SessionStarted,
    SweepCreated,
    TrialStarted,
)
from analysis.results.budget import describe_budget, n_planned, read_duration, write_duration
from analysis.storage.journal import FORMAT


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
    config: dict[str, Any] = {"trials": 8, "time_budget": budget}
    ledger = Ledger(SweepCreated(0.0, FORMAT, "made", config))
    ledger.add(SessionStarted(0.0, "here", 1, 2))
    for trial_id in started:
        ledger.add(TrialStarted(1.0, trial_id, 0, {}))
    ledger.add(SessionEnded(10.0, "interrupted"))
    ledger.add(SessionStarted(3610.0, "here", 1, 2))
    if started:
        ledger.add(EpochRecord(3620.0, started[0], 1, 0.1, 0.9, 0.1, 0.9, 1.0, 1e4))
    else:
        ledger.add(SessionEnded(3620.0, "interrupted"))
    return ledger


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
