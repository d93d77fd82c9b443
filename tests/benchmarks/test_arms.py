"""The arms of the comparison have the same task."""

import threading
import types

import pytest
import torch
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from analysis.hyperparameters import HAND_TUNED, complete
from arms import idiomatic, plain_loop
from arms.problem import EPOCHS, HALVING, N_TRIALS, draw_points
from measuring import run_arm
from models import build_model
from sweep.config import SweepConfig


def test_trials_are_the_same_each_time_and_lie_in_the_space():
    points = draw_points()
    assert points == draw_points()
    assert len(points) == N_TRIALS
    assert points[0] == HAND_TUNED
    assert SweepConfig(initial_points=points).initial_points == tuple(points)


def test_network_is_the_same_layer_by_layer():
    theirs, _ = idiomatic.build(complete(HAND_TUNED))
    ours = build_model("lenet5", dropout=0.25, generator=torch.Generator().manual_seed(0))
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), theirs.eval()(images), rtol=0, atol=1e-5)


def test_plain_loop_stops_what_rays_scheduler_would_stop(monkeypatch):
    reached: dict[int, list[float]] = {rung: [] for rung in plain_loop.RUNGS}
    monkeypatch.setattr(plain_loop, "reached", reached, raising=False)
    monkeypatch.setattr(plain_loop, "lock", threading.Lock(), raising=False)
    asha = ASHAScheduler(metric="val_accuracy", mode="max", max_t=EPOCHS, **HALVING)
    accuracies = torch.rand(N_TRIALS, EPOCHS, generator=torch.Generator().manual_seed(0))
    decided = {False: 0, True: 0}
    for number, row in enumerate(accuracies.tolist()):
        trial = types.SimpleNamespace(trial_id=str(number))
        asha.on_trial_add(None, trial)
        for epoch, accuracy in enumerate(row, start=1):
            result = {"training_iteration": epoch, "val_accuracy": accuracy}
            decision = asha.on_trial_result(None, trial, result)
            too_bad = epoch in plain_loop.RUNGS and plain_loop.is_too_bad(epoch, accuracy)
            if epoch < EPOCHS:
                assert too_bad == (decision == TrialScheduler.STOP), (number, epoch)
                decided[too_bad] += 1
            if too_bad:
                break
    assert all(decided.values()), "both decisions are compared"


@pytest.mark.long
@pytest.mark.parametrize("arm", ["ours", "plain_loop", "ray_defaults"])
def test_arm_runs_all_trials(arm):
    run = run_arm(arm)
    assert run.marks["done"]["trials"] == N_TRIALS
    assert N_TRIALS < run.marks["done"]["epochs"] < N_TRIALS * EPOCHS
    assert run.marks["began"]["after"] < run.seconds


@pytest.mark.long
def test_driver_of_waiting_trainings_is_measured(tmp_path):
    done = run_arm("waiting", tmp_path, 2, 0.01, 9).marks["done"]
    assert 2 * 3 <= done["epochs"] <= 9 * 15
    assert 0 < done["processor_seconds"] < 2 * done["seconds"]
