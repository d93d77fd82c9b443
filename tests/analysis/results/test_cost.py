import pytest

from analysis.records.ledger import ConfigChanged, Ledger, Notice, Record, SessionEnded
from analysis.results.cost import Cost, search_cost
from in_memory import (
    apply,
    begin_ledger,
    session_started,
    trial_ended,
    trial_epoch,
    trial_records,
    trial_started,
)


def ledger_of(n_trials: int, *records: Record) -> Ledger:
    return apply(begin_ledger({"trials": n_trials, "epochs": 3}, time=99.0), *records)


def test_cost_of_a_search_in_one_session():
    ledger = ledger_of(
        4,
        session_started(slots=2, time=100.0),
        trial_started(1, time=103.0),
        trial_started(2, time=103.0),
        trial_epoch(1, 1, time=105.0, seconds=2.0),
        trial_epoch(2, 1, time=106.0, seconds=3.0),
        trial_ended(2, "STOPPED", time=106.0),
        trial_started(3, time=106.5),
        trial_epoch(1, 2, time=107.0, seconds=2.0),
        trial_epoch(3, 1, time=108.0, seconds=1.5),
        trial_ended(3, "STOPPED", time=108.0),
        trial_started(4, time=108.0),
        trial_epoch(1, 3, time=109.0, seconds=2.0),
        trial_ended(1, time=109.0),
        trial_epoch(4, 1, time=110.0, seconds=2.0),
        trial_epoch(4, 2, time=112.0, seconds=2.0),
        trial_epoch(4, 3, time=114.0, seconds=2.0),
        trial_ended(4, time=114.0),
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
        session_started(time=100.0),
        *trial_records(1, [0.9, 0.9], None, time=101.0, seconds=1.0),
        session_started(time=200.0),
        trial_epoch(1, 3, time=203.0, seconds=1.0),
        trial_ended(1, time=203.0),
        trial_started(2, time=203.0),
        trial_epoch(2, 1, time=204.0, seconds=1.0),
        trial_epoch(2, 2, time=206.0, seconds=1.0),
        trial_epoch(2, 3, time=207.0, seconds=1.0),
        trial_ended(2, time=207.0),
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
    [((), 0.0), ((session_started(time=100.0), Notice(101.0, None, "starting")), 1.0)],
)
def test_cost_of_a_search_that_did_nothing_yet(records, elapsed_s):
    assert search_cost(ledger_of(2, *records)) == Cost(0, 0, 0, elapsed_s, None)


def test_fewer_trials_than_slots_have_no_utilization():
    ledger = ledger_of(
        1,
        session_started(slots=2, time=100.0),
        *trial_records(1, [0.9], "FAILED", time=101.0, seconds=1.0),
        SessionEnded(103.0, "finished"),
    )
    assert search_cost(ledger) == Cost(1, 0, 1.0, 3.0, None)  # a failed trial saves nothing


def test_clock_that_was_set_back_stands_still():
    ledger = ledger_of(
        1,
        session_started(time=5000.0),
        trial_started(1, time=5001.0),
        trial_epoch(1, 1, time=5003.0, seconds=2.0),
        trial_epoch(1, 2, time=1405.0, seconds=2.0),  # an hour back
        trial_epoch(1, 3, time=1407.0, seconds=2.0),
        trial_ended(1, time=1407.0),
        SessionEnded(1408.0, "finished"),
        session_started(time=1300.0),  # and once more, between two sessions
        SessionEnded(1301.0, "finished"),
    )
    cost = search_cost(ledger)
    assert cost.elapsed_s == 3 + 0 + 2 + 1 + 1
    assert cost.utilization == 1


def test_epochs_are_saved_from_each_trials_own_plan():
    ledger = ledger_of(
        2,
        session_started(time=100.0),
        *trial_records(1, [0.9, 0.9], "STOPPED", time=101.0, seconds=1.0),  # 1 of 3 is left
        ConfigChanged(150.0, {"trials": 2, "epochs": 1}),
        session_started(time=160.0),
        *trial_records(2, [0.9], time=161.0, seconds=1.0),
    )
    cost = search_cost(ledger)
    assert cost.epochs_saved == 1
    assert cost.elapsed_s == 3 + 2
