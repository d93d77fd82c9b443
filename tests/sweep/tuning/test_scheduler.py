from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from analysis.records.ledger import EpochRecord, Ledger, TrialEnded, TrialStarted
from sweep.config import SweepConfig
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE, Failure, Report
from sweep.tuning.scheduler import build_scheduler
from sweep.tuning.searcher import TRIAL_ID

MakeResult = Callable[..., dict[str, Any]]
BeginLedger = Callable[[SweepConfig], Ledger]
MakeAsha = Callable[..., "Driven"]

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
EPOCHS = 15


class Driven:
    """A scheduler with trials, driven as Tune drives it."""

    def __init__(self, scheduler: TrialScheduler) -> None:
        self._scheduler = scheduler
        self._trials: dict[int, SimpleNamespace] = {}

    def decide(self, number: int, result: dict[str, Any]) -> str:
        if number not in self._trials:
            trial = SimpleNamespace(trial_id=f"tune-{number}", config={TRIAL_ID: number})
            self._trials[number] = trial
            self._scheduler.on_trial_add(None, trial)
        if result["done"]:  # the scheduler is not asked, only told
            self._scheduler.on_trial_complete(None, self._trials[number], result)
            return str(STOP)
        return str(self._scheduler.on_trial_result(None, self._trials[number], result))


@pytest.fixture
def make_asha(begin_ledger: BeginLedger) -> MakeAsha:
    """Makes ASHA for 15 epochs, with rungs at 3 and 9 by default."""

    def make(ledger: Ledger | None = None, **scheduler: Any) -> Driven:
        config = SweepConfig.model_validate({"epochs": EPOCHS, "scheduler": scheduler})
        return Driven(build_scheduler(config, ledger or begin_ledger(config)))

    return make


def _record(ledger: Ledger, number: int, accuracies: list[float], state: Any = None) -> None:
    """Enters a trial in a ledger; one without a state is cut off."""
    ledger.apply(TrialStarted(0.0, number, 0, {}))
    for epoch, accuracy in enumerate(accuracies, start=1):
        ledger.apply(EpochRecord(1.0, number, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
    if state is not None:
        ledger.apply(TrialEnded(2.0, number, state, None))


def _run(
    curves: list[list[float]],
    asha: Driven,
    make_result: MakeResult,
    *,
    break_after: int | None = None,
    resume: Callable[[dict[int, int], set[int]], Driven] | None = None,
) -> dict[int, int]:
    """Trains three trials at a time, an epoch each in turn; returns how far each came.

    Args:
        break_after: After so many epochs the driver is killed, and `resume` called.
        resume: Makes the scheduler of the next session from how far each trial has come, and
            which have ended.
    """
    reached: dict[int, int] = {}
    ended: set[int] = set()
    for step in range(10_000):
        running = [number for number in reached if number not in ended]
        if step == break_after and resume is not None:
            asha = resume(reached, ended)
            for number in running:  # each reports its checkpoint's last epoch again
                curve = curves[number][: reached[number]]
                decision = asha.decide(number, make_result(*curve, epochs=EPOCHS, past=True))
                assert decision == CONTINUE
        if len(running) < 3 and len(reached) < len(curves):
            running.append(len(reached))
            reached[running[-1]] = 0
        if not running:
            break
        number = min(running, key=lambda number: (reached[number], number))
        reached[number] += 1
        result = make_result(*curves[number][: reached[number]], epochs=EPOCHS)
        if asha.decide(number, result) == STOP:
            ended.add(number)
    return reached


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("reduction_factor", [2, 3])
def test_asha_decides_as_rays_does_also_after_a_break(
    seed: int,
    reduction_factor: int,
    make_asha: MakeAsha,
    make_result: MakeResult,
    begin_ledger: BeginLedger,
) -> None:
    rng = np.random.default_rng(seed)
    curves = rng.random((25, EPOCHS)).tolist()
    rays = ASHAScheduler(
        time_attr=TIME_ATTRIBUTE,
        metric=METRIC,
        mode="max",
        max_t=EPOCHS,
        grace_period=2,
        reduction_factor=reduction_factor,
    )
    scheduler = {"grace_period": 2, "reduction_factor": reduction_factor}

    def resume(reached: dict[int, int], ended: set[int]) -> Driven:
        ledger = begin_ledger(SweepConfig(epochs=EPOCHS))
        for number, n_epochs in reached.items():
            state = "STOPPED" if n_epochs < EPOCHS else "COMPLETE"
            _record(ledger, number, curves[number][:n_epochs], state if number in ended else None)
        return make_asha(ledger, **scheduler)

    expected = _run(curves, Driven(rays), make_result)
    assert len(set(expected.values())) > 2, "some are stopped at each rung"
    assert _run(curves, make_asha(**scheduler), make_result) == expected
    for break_after in rng.integers(1, 80, 5):
        broken = _run(
            curves,
            make_asha(**scheduler),
            make_result,
            break_after=int(break_after),
            resume=resume,
        )
        assert broken == expected


def test_asha_lets_one_in_three_go_on(make_asha: MakeAsha, make_result: MakeResult) -> None:
    asha = make_asha()
    accuracies = [0.91, 0.92, 0.93, 0.94, 0.90, 0.925, 0.935, 0.95]
    decisions = [
        asha.decide(number, make_result(0.5, 0.6, accuracy, epochs=EPOCHS))
        for number, accuracy in enumerate(accuracies)
    ]
    # A trial goes on unless it is below the upper third of those before it: 0.925 has to beat
    # 0.93, two thirds of the way through 0.90 to 0.94, and 0.935 only 0.9292.
    assert decisions == [CONTINUE, CONTINUE, CONTINUE, CONTINUE, STOP, STOP, CONTINUE, CONTINUE]


@pytest.mark.parametrize(
    "scheduler",
    [{"name": "none"}, {"grace_period": 15}, {"grace_period": 100, "reduction_factor": 2}],
    ids=str,
)
def test_nothing_is_stopped_without_a_rung_below_the_last_epoch(
    scheduler: dict[str, Any], make_asha: MakeAsha, make_result: MakeResult
) -> None:
    driven = make_asha(**scheduler)
    for number, accuracy in enumerate((0.99, 0.1, 0.05)):
        for epoch in range(1, 15):
            result = make_result(*[accuracy] * epoch, epochs=EPOCHS)
            assert driven.decide(number, result) == CONTINUE


def test_failure_enters_no_rung(make_asha: MakeAsha, make_result: MakeResult) -> None:
    asha = make_asha()
    failure = Report(None, failure=Failure("diverged")).to_result()
    for number in (1, 2):
        for epoch in (1, 2):
            asha.decide(number, make_result(*[0.9] * epoch, epochs=EPOCHS))
        # Tune counts a step without an epoch as well.
        asha.decide(number, failure | {TIME_ATTRIBUTE: 3})
    # So the first trial that reaches the rung goes on, however bad it is.
    assert asha.decide(3, make_result(0.1, 0.1, 0.1, epochs=EPOCHS)) == CONTINUE


def test_trial_cut_off_is_in_the_rungs_before_it_reports_again(
    make_asha: MakeAsha, make_result: MakeResult, begin_ledger: BeginLedger
) -> None:
    ledger = begin_ledger(SweepConfig(epochs=EPOCHS))
    _record(ledger, 1, [0.5, 0.6, 0.98, 0.98])
    asha = make_asha(ledger)
    assert asha.decide(2, make_result(0.5, 0.6, 0.9, epochs=EPOCHS)) == STOP


@pytest.mark.parametrize("n_epochs", [5, EPOCHS])
def test_trial_from_a_checkpoint_enters_the_rungs_below_it(
    n_epochs: int, make_asha: MakeAsha, make_result: MakeResult
) -> None:
    asha = make_asha()  # its ledger lost what this trial reported
    asha.decide(1, make_result(*[0.9] * (n_epochs - 1), 0.1, epochs=EPOCHS, past=True))
    assert asha.decide(2, make_result(0.1, 0.1, 0.85, epochs=EPOCHS)) == STOP


def test_epoch_reported_again_after_a_retry_counts_once(
    make_asha: MakeAsha, make_result: MakeResult
) -> None:
    asha = make_asha()
    for number, accuracy in ((1, 0.90), (2, 0.96)):
        assert asha.decide(number, make_result(0.5, 0.6, accuracy, epochs=EPOCHS)) == CONTINUE
    again = make_result(0.5, 0.6, 0.96, epochs=EPOCHS, past=True)
    assert asha.decide(2, again) == CONTINUE
    # The upper third of 0.90 and 0.96 begins at 0.94; with 0.96 twice it would at 0.96.
    assert asha.decide(3, make_result(0.5, 0.6, 0.945, epochs=EPOCHS)) == CONTINUE
