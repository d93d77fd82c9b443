from typing import Any

import pytest

from analysis.hyperparameters import DEFAULTS
from analysis.records.confirmation import Arm, LookTaken, Plan
from analysis.records.ledger import DIVERGED, Trial
from analysis.results.selection import Selection, rank_trials
from in_memory import apply, begin_confirmation, make_ledger, run_ended
from sweep.config import SweepConfig
from sweep.driver.arms import missing_runs, plan_arms, planned_arms

PLAIN = {"dropout": 0.0, "rotation": 0.0, "shift": 0.0, "weight_decay": 0.0}
HAND_TUNED = {"dropout": 0.25, "rotation": 10.0, "shift": 0.05, "weight_decay": 0.001}
CLASSIC = {name: value for name, value in DEFAULTS.items() if name not in HAND_TUNED}
FOUND = {"dropout": 0.1, "rotation": 12.0, "shift": 0.06, "weight_decay": 0.0005}
SPACE = SweepConfig().model_dump()["space"]
RATE = {"learning_rate": {"low": 0.005, "high": 0.2, "log": True}}


def _finalists(config: SweepConfig, *draws: dict[str, Any]) -> list[Selection]:
    """The trials 1, 2, … with these draws, best first."""
    plain = config.model_dump(mode="json")
    return [
        Selection(Trial(trial_id=n, seed=5, hyperparameters=draw, started=1.0, config=plain), 0.9)
        for n, draw in enumerate(draws, start=1)
    ]


def _names(arms: list[Arm]) -> list[str]:
    """The arms' names; those of references end in `*`."""
    return [arm.arm + "*" * arm.reference for arm in arms]


@pytest.mark.parametrize(
    ("config", "draws", "names"),
    [
        ({}, [FOUND], ["trial-1", "hand-tuned*"]),
        ({}, [FOUND | {"scale": 0.1}], ["trial-1", "hand-tuned*"]),
        ({}, [FOUND, FOUND, FOUND], ["trial-1", "hand-tuned*"]),
        ({}, [HAND_TUNED], ["trial-1*"]),
        ({}, [HAND_TUNED, FOUND], ["trial-1*", "trial-2"]),
        ({}, [FOUND, HAND_TUNED], ["trial-1", "trial-2*"]),
        ({}, [FOUND, PLAIN], ["trial-1", "trial-2", "hand-tuned*"]),
        ({"recipe": {"schedule": "linear"}}, [HAND_TUNED], ["trial-1*", "hand-tuned*"]),
        (  # a regularizer that is not searched does not make another recipe
            {"space": {"dropout": SPACE["dropout"]}, "recipe": {"rotation": 5.0}},
            [{"dropout": 0.2, "rotation": 5.0}],
            ["trial-1", "hand-tuned*"],
        ),
        (
            {"space": SPACE | RATE},
            [FOUND | {"learning_rate": rate} for rate in (0.02, 0.03)],
            ["trial-1", "trial-2", "hand-tuned-recipe-of-trial-1*", "hand-tuned*"],
        ),
    ],
)
def test_arms_are_finalists_references_and_plain_networks_and_none_is_trained_twice(
    config, draws, names
):
    sweep_config = SweepConfig.model_validate(config)
    arms = plan_arms(sweep_config, _finalists(sweep_config, *draws))
    assert _names(arms) == [*names, *["lenet5"] * (PLAIN not in draws), "mlp"]


@pytest.mark.parametrize("config", [{"dataset": "fashion-mnist"}])
def test_baseline_elsewhere_is_the_best_without_its_regularizers(config):
    sweep_config = SweepConfig.model_validate(config | {"recipe": {"momentum": 0.8}})
    arms = plan_arms(sweep_config, _finalists(sweep_config, FOUND, HAND_TUNED))
    assert _names(arms) == ["trial-1", "trial-2", "plain-trial-1*"]
    assert arms[-1].model == sweep_config.model
    assert arms[-1].hyperparameters == CLASSIC | {"momentum": 0.8} | PLAIN
    (best,) = plan_arms(sweep_config, _finalists(sweep_config, PLAIN))
    assert (best.reference, best.title) == (True, "trial 1 (without regularizers)")


def test_initial_point_is_a_baseline_of_other_data():
    config = SweepConfig.model_validate({"dataset": "kmnist", "initial_points": [HAND_TUNED]})
    finalists = _finalists(config, HAND_TUNED, FOUND)
    first = finalists[0].trial
    arms = plan_arms(config, finalists[1:], first)
    assert _names(arms) == ["trial-2", "plain-trial-2*", "initial-point"]
    assert (arms[-1].role, arms[-1].hyperparameters) == ("baseline", CLASSIC | HAND_TUNED)
    assert _names(plan_arms(config, finalists, first)) == ["trial-1", "trial-2", "plain-trial-1*"]
    proposed = SweepConfig(dataset="kmnist")
    _, found = _finalists(proposed, HAND_TUNED, FOUND)
    assert _names(plan_arms(proposed, [found], found.trial)) == ["trial-2", "plain-trial-2*"]


def test_confirmation_with_a_result_gets_no_initial_point():
    """Another comparison would widen the intervals that were shown."""
    config = SweepConfig.model_validate({"dataset": "kmnist", "initial_points": [HAND_TUNED]})
    plain = config.model_dump(mode="json") | {"epochs": 1}
    draws = [("COMPLETE", draw, [0.9 + i / 100]) for i, draw in enumerate((HAND_TUNED, FOUND))]
    ledger = make_ledger(*draws, **plain)
    config = SweepConfig.model_validate(ledger.config)
    before = _names(planned_arms(config, ledger, None))
    assert before == ["trial-2", "plain-trial-2*", "initial-point"]
    confirmation = begin_confirmation(1)
    assert _names(planned_arms(config, ledger, confirmation)) == before  # it has just begun
    arms = plan_arms(config, rank_trials(ledger)[:1])
    apply(confirmation, Plan(1.0, 1, 1, None), *arms)
    assert _names(planned_arms(config, ledger, confirmation)) == before
    apply(confirmation, LookTaken(1.0, 1, 1))
    assert _names(planned_arms(config, ledger, confirmation)) == before[:2]


def test_arms_of_the_classic_recipe():
    config = SweepConfig(epochs=7)
    arms = plan_arms(config, _finalists(config, FOUND))
    assert [(arm.title, arm.role, arm.model, arm.trial_id) for arm in arms] == [
        ("trial 1", "finalist", "lenet5", 1),
        ("hand-tuned LeNet-5", "baseline", "lenet5", None),
        ("plain LeNet-5", "baseline", "lenet5", None),
        ("MLP", "baseline", "mlp", None),
    ]
    assert [arm.hyperparameters for arm in arms] == [
        CLASSIC | values for values in (FOUND, HAND_TUNED, PLAIN, PLAIN)
    ]
    assert {arm.epochs for arm in arms} == {7}
    (best, *_) = plan_arms(config, _finalists(config, HAND_TUNED))
    assert best.title == "trial 1 (the hand-tuned point)"


def test_reference_in_another_recipe_is_the_best_finalists_with_the_hand_tuned_point():
    recipe = {"batch_size": 128, "schedule": "linear", "momentum": 0.95, "label_smoothing": 0.1}
    config = SweepConfig.model_validate({"recipe": recipe, "space": SPACE | RATE})
    draws = [FOUND | {"learning_rate": rate, "shear": 5.0} for rate in (0.04, 0.03)]
    best, _, reference, published, *_ = plan_arms(config, _finalists(config, *draws))
    own = CLASSIC | recipe | {"learning_rate": 0.04}
    assert best.hyperparameters == own | FOUND | {"shear": 5.0}
    assert reference.hyperparameters == own | HAND_TUNED
    assert reference.title == "hand-tuned, recipe of trial 1"
    assert published.hyperparameters == CLASSIC | HAND_TUNED


def test_finalist_keeps_the_recipe_of_its_own_config():
    finalists = _finalists(SweepConfig.model_validate({"recipe": {"nesterov": True}}), FOUND)
    changed = SweepConfig.model_validate(
        {"model": "mlp", "space": {"momentum": {"low": 0.0, "high": 0.5}}}
    )
    best, own, *_ = plan_arms(changed, finalists)
    assert best.model == own.model == "lenet5"
    assert best.hyperparameters == CLASSIC | {"nesterov": True} | FOUND
    assert own.hyperparameters == CLASSIC | {"nesterov": True} | HAND_TUNED


def test_run_that_failed_is_missing_unless_it_diverged():
    arm, *_ = plan_arms(SweepConfig(), _finalists(SweepConfig(), FOUND))
    confirmation = apply(
        begin_confirmation(),
        arm,
        run_ended(arm.arm, 1, "FAILED", "ran out of memory"),
        run_ended(arm.arm, 2, "FAILED", f"{DIVERGED}: the loss became nan"),
    )
    assert missing_runs(confirmation, [arm.arm], [1, 2, 3]) == [(arm.arm, 1), (arm.arm, 3)]


def test_what_is_recorded_is_not_planned_under_another_name():
    """A sweep was confirmed, then extended, and has another best trial."""
    config = SweepConfig.model_validate({"recipe": {"schedule": "linear"}})
    tuned, best = _finalists(config, HAND_TUNED, FOUND)
    recorded = plan_arms(config, [tuned])
    # Trial 1 is the hand-tuned point in the same recipe, and confirmed as a finalist.
    assert _names(plan_arms(config, [best], recorded=recorded)) == [
        "trial-2",
        "trial-1*",
        "hand-tuned*",
        "lenet5",
        "mlp",
    ]
    own = plan_arms(config, [best])
    assert own[1].arm == "hand-tuned-recipe-of-trial-2"
    assert own[1] in plan_arms(config, [best, tuned], recorded=own)
    # What is now the best is a finalist, whatever is recorded.
    assert plan_arms(config, [tuned], recorded=own)[0].arm == "trial-1"


def test_reference_is_not_replaced_by_a_recorded_arm_that_is_none():
    """Else the best would be compared with the reference of another finalist."""
    config = SweepConfig.model_validate({"dataset": "fashion-mnist"})
    rates = [{"learning_rate": rate} for rate in (0.02, 0.03, 0.03)]
    draws = (FOUND | rates[0], PLAIN | rates[1], FOUND | rates[2])
    first, second, best = _finalists(config, *draws)
    recorded = plan_arms(config, [first, second])
    assert _names(recorded) == ["trial-1", "trial-2", "plain-trial-1*"]
    arms = plan_arms(config, [best], recorded=recorded)
    assert _names(arms) == ["trial-3", "plain-trial-3*"]
    assert not arms[1].differences(recorded[1])
    # A finalist that is recorded as none is compared with a reference of its own.
    assert _names(plan_arms(config, [second], recorded=recorded)) == ["trial-2", "plain-trial-2*"]
