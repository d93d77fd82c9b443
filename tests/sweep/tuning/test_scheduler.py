from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from analysis.records.ledger import Ledger
from config_ledgers import make_result, record
from in_memory import begin_ledger
from sweep.config import SweepConfig
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE, Assignment, Report
from sweep.tuning.scheduler import build_scheduler

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
EPOCHS = 15


def _trial(number: int) -> SimpleNamespace:
    assignment = Assignment(f"trial-{number}", 1, "mlp", EPOCHS, {}, key=number)
    return SimpleNamespace(trial_id=f"tune-{number}", config={"assignment": assignment})


class Driven:
    """A scheduler and the ledger that it reads, driven as Tune and a recorder drive them."""

    def __init__(self, scheduler: TrialScheduler, ledger: Ledger) -> None:
        self.ledger = ledger
        self._scheduler = scheduler
        self._trials: dict[int, SimpleNamespace] = {}

    def decide(self, number: int, *accuracies: float, past: bool = False) -> str:
        """A trial reports an epoch, with those before it after a checkpoint was loaded."""
        if number not in self._trials:
            trial = self._trials[number] = _trial(number)
            self._scheduler.on_trial_add(None, trial)
        result = make_result(*accuracies, epochs=EPOCHS, past=past)
        decision = str(STOP)
        if not result["done"]:  # otherwise the scheduler is not asked
            decision = str(self._scheduler.on_trial_result(None, self._trials[number], result))
        record(self.ledger, number, list(accuracies))
        return decision


def make_driven(
    ledger: Ledger | None = None, scheduler: TrialScheduler | None = None, **settings: Any
) -> Driven:
    """Drive ASHA for 15 epochs, with rungs at 3 and 9 by default, or another scheduler."""
    config = SweepConfig.model_validate({"epochs": EPOCHS, "scheduler": settings})
    ledger = ledger or begin_ledger(config)
    return Driven(scheduler or build_scheduler(config, ledger), ledger)


def _run(
    curves: list[list[float]],
    driven: Driven,
    break_after: int | None = None,
    resume: Callable[[Ledger], Driven] | None = None,
) -> dict[int, int]:
    """Trains three trials at a time, an epoch each in turn; returns how far each came.

    After `break_after` epochs the driver is killed, and `resume` makes the next.
    """
    reached: dict[int, int] = {}
    ended: set[int] = set()
    for step in range(10_000):
        running = [number for number in reached if number not in ended]
        if step == break_after and resume is not None:
            driven = resume(driven.ledger)
            for number in running:  # each reports its checkpoint's last epoch again
                curve = curves[number][: reached[number]]
                assert driven.decide(number, *curve, past=True) == CONTINUE
        if len(running) < 3 and len(reached) < len(curves):
            running.append(len(reached))
            reached[running[-1]] = 0
        if not running:
            break
        number = min(running, key=lambda number: (reached[number], number))
        reached[number] += 1
        if driven.decide(number, *curves[number][: reached[number]]) == STOP:
            ended.add(number)
    return reached


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("reduction_factor", [2, 3])
def test_asha_decides_as_rays_does_also_after_a_break(seed, reduction_factor):
    rng = np.random.default_rng(seed)
    curves = rng.random((25, EPOCHS)).tolist()
    settings = {"grace_period": 2, "reduction_factor": reduction_factor}
    rays = ASHAScheduler(
        time_attr=TIME_ATTRIBUTE, metric=METRIC, mode="max", max_t=EPOCHS, **settings
    )
    expected = _run(curves, make_driven(scheduler=rays))
    assert len(set(expected.values())) > 2, "some are stopped at each rung"
    assert _run(curves, make_driven(**settings)) == expected
    for break_after in rng.integers(1, 80, 5).tolist():

        def resume(ledger: Ledger) -> Driven:
            return make_driven(ledger, **settings)

        assert _run(curves, make_driven(**settings), break_after, resume) == expected


@pytest.mark.parametrize(
    "settings",
    [{"name": "none"}, {"grace_period": 15}, {"grace_period": 100, "reduction_factor": 2}],
    ids=str,
)
def test_nothing_is_stopped_without_a_rung_below_the_last_epoch(settings):
    driven = make_driven(**settings)
    for number, accuracy in enumerate((0.99, 0.1, 0.05)):
        for epoch in range(1, 15):
            assert driven.decide(number, *[accuracy] * epoch) == CONTINUE


def test_failure_is_not_an_epoch():
    config = SweepConfig()
    # Tune counts a step without an epoch as well.
    result = Report(failure="diverged").to_result() | {TIME_ATTRIBUTE: 3}
    asha = build_scheduler(config, begin_ledger(config))
    assert asha.on_trial_result(None, _trial(1), result) == CONTINUE


@pytest.mark.parametrize("n_epochs", [3, 5, EPOCHS])
def test_trial_from_a_checkpoint_is_in_the_rungs_below_it(n_epochs):
    asha = make_driven()  # its ledger lost what this trial reported
    asha.decide(1, *[0.9] * (n_epochs - 1), 0.95, past=True)
    assert asha.decide(2, 0.1, 0.1, 0.85) == STOP


@pytest.mark.parametrize("name", ["none", "asha"])
def test_next_trial_is_the_first_that_waits_however_many_have_ended(name):
    config = SweepConfig(scheduler=name)
    scheduler = build_scheduler(config, begin_ledger(config))
    states = {"00002": "RUNNING", "00004": "PENDING", "00003": "PENDING", "00001": "ERROR"}
    live = [SimpleNamespace(trial_id=n, status=s) for n, s in states.items()]
    tune = SimpleNamespace(get_live_trials=lambda: live)  # without those that have ended
    assert scheduler.choose_trial_to_run(tune) is live[2]
    del live[1:]
    assert scheduler.choose_trial_to_run(tune) is None
