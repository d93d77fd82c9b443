import pytest

from analysis.records.ledger import (
    ConfigChanged,
    EpochRecord,
    Ledger,
    Notice,
    Record,
    SessionEnded,
    SessionStarted,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)
from analysis.results.cost import Cost, search_cost


def ledger_of(n_trials: int, *records: Record) -> Ledger:
    ledger = Ledger(SweepCreated(99.0, 1, "s", {"trials": n_trials, "epochs": 3}))
    for record in records:
        ledger.apply(record)
    return ledger


def epoch(time: float, trial_id: int, number: int, seconds: float) -> EpochRecord:
    return EpochRecord(time, trial_id, number, 1.0, 0.5, 1.0, 0.5, seconds, 1.0)


def start(time: float, trial_id: int) -> TrialStarted:
    return TrialStarted(time, trial_id, 1, {})


def test_cost_of_a_search_in_one_session():
    ledger = ledger_of(
        4,
        SessionStarted(100.0, "h", 1, 2),
        start(103.0, 1),
        start(103.0, 2),
        epoch(105.0, 1, 1, 2.0),
        epoch(106.0, 2, 1, 3.0),
        TrialEnded(106.0, 2, "STOPPED", None),
        start(106.5, 3),
        epoch(107.0, 1, 2, 2.0),
        epoch(108.0, 3, 1, 1.5),
        TrialEnded(108.0, 3, "STOPPED", None),
        start(108.0, 4),
        epoch(109.0, 1, 3, 2.0),
        TrialEnded(109.0, 1, "COMPLETE", None),
        epoch(110.0, 4, 1, 2.0),
        epoch(112.0, 4, 2, 2.0),
        epoch(114.0, 4, 3, 2.0),
        TrialEnded(114.0, 4, "COMPLETE", None),
        SessionEnded(115.0, "finished"),
    )
    # Both slots have work from 103 until the third of four trials ends at 109: 12 seconds,
    # of which 6 + 3 + 1.5 + 1 went into epochs.
    assert search_cost(ledger) == Cost(
        epochs=8,
        epochs_saved=4,
        slot_seconds=6 + 3 + 1.5 + 6,
        elapsed_s=15.0,
        utilization=pytest.approx(11.5 / 12),
    )


def test_cost_leaves_out_the_pause_between_a_killed_session_and_the_next():
    ledger = ledger_of(
        2,
        SessionStarted(100.0, "h", 1, 1),
        start(101.0, 1),
        epoch(102.0, 1, 1, 1.0),
        epoch(103.0, 1, 2, 1.0),
        SessionStarted(200.0, "h", 2, 1),
        epoch(203.0, 1, 3, 1.0),
        TrialEnded(203.0, 1, "COMPLETE", None),
        start(203.0, 2),
        epoch(204.0, 2, 1, 1.0),
        epoch(206.0, 2, 2, 1.0),
        epoch(207.0, 2, 3, 1.0),
        TrialEnded(207.0, 2, "COMPLETE", None),
        SessionEnded(208.0, "finished"),
    )
    # 101 to 103 without a gap; 202 to 207 with one second's.
    assert search_cost(ledger) == Cost(
        epochs=6,
        epochs_saved=0,
        slot_seconds=6.0,
        elapsed_s=3.0 + 8.0,
        utilization=pytest.approx((2 + 4) / (2 + 5)),
    )


@pytest.mark.parametrize(
    ("records", "elapsed_s"),
    [((), 0.0), ((SessionStarted(100.0, "h", 1, 1), Notice(101.0, None, "starting")), 1.0)],
)
def test_cost_of_a_search_that_did_nothing_yet(records, elapsed_s):
    assert search_cost(ledger_of(2, *records)) == Cost(0, 0, 0, elapsed_s, None)


def test_fewer_trials_than_slots_have_no_utilization():
    ledger = ledger_of(
        1,
        SessionStarted(100.0, "h", 1, 2),
        start(101.0, 1),
        epoch(102.0, 1, 1, 1.0),
        TrialEnded(102.0, 1, "FAILED", "so"),
        SessionEnded(103.0, "finished"),
    )
    assert search_cost(ledger) == Cost(1, 0, 1.0, 3.0, None)  # a failed trial saves nothing


def test_clock_that_was_set_back_stands_still():
    ledger = ledger_of(
        1,
        SessionStarted(5000.0, "h", 1, 1),
        start(5001.0, 1),
        epoch(5003.0, 1, 1, 2.0),
        epoch(1405.0, 1, 2, 2.0),  # an hour back
        epoch(1407.0, 1, 3, 2.0),
        TrialEnded(1407.0, 1, "COMPLETE", None),
        SessionEnded(1408.0, "finished"),
        SessionStarted(1300.0, "h", 1, 1),  # and once more, between two sessions
        SessionEnded(1301.0, "finished"),
    )
    cost = search_cost(ledger)
    assert cost.elapsed_s == 3 + 0 + 2 + 1 + 1
    assert cost.utilization == 1


def test_epochs_are_saved_from_each_trials_own_plan():
    ledger = ledger_of(
        2,
        SessionStarted(100.0, "h", 1, 1),
        start(101.0, 1),
        epoch(102.0, 1, 1, 1.0),
        epoch(103.0, 1, 2, 1.0),
        TrialEnded(103.0, 1, "STOPPED", None),  # with 1 of 3 epochs left
        ConfigChanged(150.0, {"trials": 2, "epochs": 1}),
        SessionStarted(160.0, "h", 1, 1),
        start(161.0, 2),
        epoch(162.0, 2, 1, 1.0),
        TrialEnded(162.0, 2, "COMPLETE", None),
    )
    cost = search_cost(ledger)
    assert cost.epochs_saved == 1
    assert cost.elapsed_s == 3 + 2
