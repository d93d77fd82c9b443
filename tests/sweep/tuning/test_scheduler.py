from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from analysis.records.events import EpochRecord, TrialEnded, TrialStarted
from analysis.records.ledger import Ledger
from sweep.config import SweepConfig
from sweep.training.assignment import Failure, Report
from sweep.tuning.scheduler import build_scheduler

MakeResult = Callable[..., dict[str, Any]]
BeginLedger = Callable[[SweepConfig], Ledger]
MakeAsha = Callable[..., "Driven"]

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


class Driven:
    """A scheduler, and trials that are driven through it as Tune drives them."""

    def __init__(self, scheduler: TrialScheduler) -> None:
        self.scheduler = scheduler
        self._trials: dict[str, SimpleNamespace] = {}

    def decide(self, name: str, result: dict[str, Any]) -> str:
        if name not in self._trials:
            self._trials[name] = SimpleNamespace(trial_id=name)
            self.scheduler.on_trial_add(None, self._trials[name])
        return str(self.scheduler.on_trial_result(None, self._trials[name], result))

    def end(self, name: str, result: dict[str, Any]) -> None:
        self.scheduler.on_trial_complete(None, self._trials[name], result)


@pytest.fixture
def make_asha(begin_ledger: BeginLedger) -> MakeAsha:
    """Makes ASHA for 15 epochs, with rungs at 3 and 9, unless told otherwise."""

    def make(ledger: Ledger | None = None, **scheduler: Any) -> Driven:
        config = SweepConfig.model_validate({"epochs": 15, "scheduler": scheduler})
        return Driven(build_scheduler(config, ledger or begin_ledger(config)))

    return make


def test_asha_decides_at_its_rungs_alone(make_asha: MakeAsha, make_result: MakeResult) -> None:
    asha = make_asha()
    good, bad = [0.99] * 15, [0.5] * 15
    for epoch in range(1, 15):
        assert asha.decide("good", make_result(*good[:epoch], epochs=15)) == CONTINUE
    for epoch in (1, 2):
        assert asha.decide("bad", make_result(*bad[:epoch], epochs=15)) == CONTINUE
    assert asha.decide("bad", make_result(*bad[:3], epochs=15)) == STOP

    late = [0.995] * 8 + [0.5]  # ahead at the first rung, behind at the second
    decisions = [asha.decide("late", make_result(*late[:e], epochs=15)) for e in range(1, 10)]
    assert decisions == [CONTINUE] * 8 + [STOP]


def test_asha_lets_one_in_three_go_on(make_asha: MakeAsha, make_result: MakeResult) -> None:
    asha = make_asha()
    accuracies = [0.91, 0.92, 0.93, 0.94, 0.90, 0.925, 0.935, 0.95]
    decisions = [
        asha.decide(f"t{i}", make_result(0.5, 0.6, accuracy, epochs=15))
        for i, accuracy in enumerate(accuracies)
    ]
    # Whoever is not below the upper third of those before it goes on: 0.925 has to beat
    # 0.93, two thirds of the way through 0.90 to 0.94, and 0.935 only 0.9292.
    assert decisions == [CONTINUE, CONTINUE, CONTINUE, CONTINUE, STOP, STOP, CONTINUE, CONTINUE]


@pytest.mark.parametrize(
    "scheduler",
    [
        {"name": "none"},
        {"grace_period": 16},
        {"grace_period": 100, "reduction_factor": 2},
    ],
    ids=str,
)
def test_nothing_is_stopped_without_a_rung_below_the_last_epoch(
    scheduler: dict[str, Any], make_asha: MakeAsha, make_result: MakeResult
) -> None:
    driven = make_asha(**scheduler)
    assert type(driven.scheduler) is FIFOScheduler
    for name, accuracy in (("good", 0.99), ("bad", 0.1), ("worse", 0.05)):
        for epoch in range(1, 15):
            decision = driven.decide(name, make_result(*[accuracy] * epoch, epochs=15))
            assert decision == CONTINUE


def test_rung_at_the_last_epoch_stops_nothing_before_it(
    make_asha: MakeAsha, make_result: MakeResult
) -> None:
    asha = make_asha(grace_period=15)
    for name, accuracy in (("good", 0.99), ("bad", 0.1)):
        for epoch in range(1, 15):
            assert asha.decide(name, make_result(*[accuracy] * epoch, epochs=15)) == CONTINUE


def test_failure_enters_no_rung(make_asha: MakeAsha, make_result: MakeResult) -> None:
    asha = make_asha()
    failure = Report(None, failure=Failure("diverged")).to_result()
    for name in ("a", "b"):
        for epoch in (1, 2):
            asha.decide(name, make_result(*[0.9] * epoch, epochs=15))
        # Tune counts a step without an epoch as well.
        assert asha.decide(name, failure | {"training_iteration": 3}) == CONTINUE
        asha.end(name, failure | {"training_iteration": 3})
    # So the first that gets to the rung finds nobody there, however bad it is.
    assert asha.decide("c", make_result(0.1, 0.1, 0.1, epochs=15)) == CONTINUE


def _record(ledger: Ledger, trial_id: int, accuracies: list[float], state: Any) -> None:
    ledger.apply(TrialStarted(0.0, trial_id, 0, {}))
    for epoch, accuracy in enumerate(accuracies, start=1):
        ledger.apply(EpochRecord(1.0, trial_id, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
    if state is not None:
        ledger.apply(TrialEnded(2.0, trial_id, state, None))


def test_resumed_asha_knows_the_trials_that_have_ended(
    make_asha: MakeAsha, make_result: MakeResult, begin_ledger: BeginLedger
) -> None:
    ledger = begin_ledger(SweepConfig(epochs=15))
    _record(ledger, 1, [0.9] * 15, "COMPLETE")
    _record(ledger, 2, [0.8] * 3, "STOPPED")
    _record(ledger, 3, [0.99] * 2, "FAILED")
    _record(ledger, 4, [0.99] * 5, None)  # enters the rungs when it goes on
    decide = make_asha(ledger).decide
    # At epoch 3 are 0.9 and 0.8, of which the upper third begins at 0.8667.
    assert decide("below", make_result(0.5, 0.5, 0.86, epochs=15)) == STOP
    decide = make_asha(ledger).decide
    assert decide("above", make_result(0.5, 0.5, 0.87, epochs=15)) == CONTINUE


def test_resumed_asha_is_as_if_there_had_been_no_break(
    make_asha: MakeAsha, make_result: MakeResult, begin_ledger: BeginLedger
) -> None:
    curves = {
        1: [0.90 + 0.001 * epoch for epoch in range(15)],
        2: [0.80 + 0.001 * epoch for epoch in range(3)],
        3: [0.93 + 0.001 * epoch for epoch in range(15)],
    }
    unbroken = make_asha()
    ledger = begin_ledger(SweepConfig(epochs=15))
    for trial_id, curve in curves.items():
        for epoch in range(1, len(curve) + 1):
            unbroken.decide(f"t{trial_id}", make_result(*curve[:epoch], epochs=15))
        _record(ledger, trial_id, curve, "COMPLETE" if len(curve) == 15 else "STOPPED")
    resumed = make_asha(ledger)
    for number, accuracy in enumerate((0.85, 0.91, 0.925, 0.94, 0.95)):
        result = make_result(0.5, 0.5, accuracy, epochs=15)
        assert unbroken.decide(f"n{number}", result) == resumed.decide(f"n{number}", result)


def test_trial_from_a_checkpoint_enters_the_rungs_behind_it(
    make_asha: MakeAsha, make_result: MakeResult
) -> None:
    asha = make_asha()
    past = make_result(0.5, 0.6, 0.98, 0.98, 0.98, epochs=15, past=True)
    assert asha.decide("resumed", past) == CONTINUE
    assert asha.decide("new", make_result(0.5, 0.6, 0.9, epochs=15)) == STOP


def test_trial_told_again_after_a_retry_counts_once(
    make_asha: MakeAsha, make_result: MakeResult
) -> None:
    asha = make_asha()
    for name, accuracy in (("a", 0.90), ("b", 0.96)):
        assert asha.decide(name, make_result(0.5, 0.6, accuracy, epochs=15)) == CONTINUE
    again = make_result(0.5, 0.6, 0.96, epochs=15, past=True)
    assert asha.decide("b", again) == CONTINUE
    # The upper third of 0.90 and 0.96 begins at 0.94; with 0.96 twice it would at 0.96.
    assert asha.decide("c", make_result(0.5, 0.6, 0.945, epochs=15)) == CONTINUE
