import itertools

import pytest

from analysis.records.confirmation import Confirmation, ConfirmationNotice
from in_memory import apply, begin_confirmation, make_arm, run_ended, run_records
from rendering import render
from sweep.screen.confirm_view import ConfirmationView

ARMS, SEEDS = ["trial-3", "mlp"], [11, 12]


@pytest.fixture
def confirmation() -> Confirmation:
    best = make_arm("trial-3", "finalist", title="trial 3")
    return apply(begin_confirmation(), best, make_arm("mlp"))


def _view(confirmation: Confirmation, slots: int = 2) -> ConfirmationView:
    """A view whose clock is 4 s later from its second reading on."""
    clock = itertools.chain([1000.0], itertools.repeat(1004.0))
    return ConfirmationView(confirmation, ARMS, SEEDS, slots, lambda: next(clock))


def _train(
    confirmation: Confirmation, arm: str, seed: int, *accuracies: float, seconds: float = 30.0
) -> None:
    state = "COMPLETE" if len(accuracies) == 2 else None
    apply(confirmation, *run_records(arm, seed, accuracies, state, seconds=seconds))


def test_view_at_the_beginning(confirmation):
    view = _view(confirmation)
    assert (view.fraction(), view.news()) == (0.0, [])
    assert view.line() == "confirming: 0/4 runs, 0/8 epochs, 4 s elapsed"
    lines = render(view.picture())
    assert lines[0] == f"confirming  {'─' * 24}  0/4 runs  0/8 epochs  4 s elapsed" + (
        "  waiting for the first epoch"
    )
    assert lines[2:] == [
        "arm      runs  epochs  mean test accuracy",
        "trial 3   0/2     0/4                   –",
        "mlp       0/2     0/4                   –",
    ]


def test_view_in_the_middle(confirmation):
    view = _view(confirmation)
    _train(confirmation, "trial-3", 11, 0.98, 0.99)
    _train(confirmation, "trial-3", 12, 0.98, 0.992)
    _train(confirmation, "mlp", 11, 0.97, seconds=6.0)
    _train(confirmation, "mlp", 99, 0.98, 0.99)  # a seed of another confirmation
    assert view.fraction() == 5 / 8
    # Three more epochs of the MLP, of 6 s each, two at a time.
    assert view.line() == "confirming: 2/4 runs, 5/8 epochs, 4 s elapsed, about 10 s left"
    assert render(view.picture())[2:4] == [
        "arm      runs  epochs  mean test accuracy",
        "trial 3   2/2     4/4             99.10 %",
    ]


def test_estimate_for_an_arm_without_epochs_is_from_the_others(confirmation):
    _train(confirmation, "trial-3", 11, 0.98, seconds=60.0)
    # Seven epochs of a minute each.
    assert _view(confirmation, slots=1).line().endswith("about 7 min left")


def test_estimate_is_at_least_that_of_the_longest_run(confirmation):
    view = _view(confirmation, slots=16)
    for arm, seed in itertools.product(ARMS, SEEDS):
        _train(confirmation, arm, seed, 0.97, seconds=60.0)
    assert view.line().endswith("about 60 s left")


def test_nothing_is_left_of_a_run_that_failed(confirmation):
    view = _view(confirmation)
    (arm, seed), *others = itertools.product(ARMS, SEEDS)
    for run in others:
        _train(confirmation, *run, 0.97, 0.98)
    assert view.fraction() < 1
    confirmation.apply(run_ended(arm, seed, "FAILED"))
    assert view.fraction() == 1
    assert view.line().startswith("confirmed: ")
    assert view.line().endswith(" elapsed")


def test_view_has_notices_and_failures(confirmation):
    view = _view(confirmation)
    confirmation.apply(ConfirmationNotice(2.0, "mlp, seed 12: its process died"))
    confirmation.apply(run_ended("trial-3", 12, "FAILED", "its process died 3 times"))
    assert view.news() == [
        "mlp, seed 12: its process died",
        "trial 3, seed 12 failed: its process died 3 times",
    ]
