from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.records.confirmation import Arm
from analysis.records.ledger import (
    FORMAT,
    EpochRecord,
    LedgerWriter,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)
from analysis.results.selection import Selection, rank_trials
from analysis.storage.folder import LocalFolder
from sweep.config import Recipe, SweepConfig
from sweep.driver.arms import plan_arms

CLASSIC = {
    "batch_size": 64,
    "learning_rate": 0.01,
    "schedule": "constant",
    "warmup_epochs": 0.0,
    "momentum": 0.9,
    "nesterov": False,
}
PLAIN = {"dropout": 0.0, "rotation": 0.0, "shift": 0.0, "weight_decay": 0.0}
HAND_TUNED = {"dropout": 0.25, "rotation": 10.0, "shift": 0.05, "weight_decay": 0.001}
FOUND = {"dropout": 0.1, "rotation": 12.0, "shift": 0.06, "weight_decay": 0.0005}

MakeFinalists = Callable[..., list[Selection]]


@pytest.fixture
def make_finalists(tmp_path: Path) -> MakeFinalists:
    """Runs each draw as a trial of one epoch, better than those before; best first."""

    def make(config: SweepConfig, *draws: dict[str, Any]) -> list[Selection]:
        created = SweepCreated(0.0, FORMAT, "made", config.model_dump(mode="json"))
        with LedgerWriter.create(LocalFolder(tmp_path), created) as writer:
            for trial_id, draw in enumerate(draws, start=1):
                writer.append(TrialStarted(1.0, trial_id, 5, draw))
                accuracy = 0.9 + 0.01 * trial_id
                writer.append(EpochRecord(2.0, trial_id, 1, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
                writer.append(TrialEnded(3.0, trial_id, "COMPLETE", None))
            return rank_trials(writer.ledger)

    return make


def _shown(arms: list[Arm]) -> list[tuple[str, str, str, int | None, bool]]:
    return [(arm.arm, arm.role, arm.model, arm.trial_id, arm.reference) for arm in arms]


def test_finalist_of_an_earlier_config_has_its_own_recipe(make_finalists: MakeFinalists) -> None:
    finalists = make_finalists(SweepConfig(recipe=Recipe(nesterov=True)), FOUND)
    space = {"momentum": {"low": 0.0, "high": 0.5}}
    changed = SweepConfig.model_validate({"model": "mlp", "space": space})
    best, own, *_ = plan_arms(changed, finalists)
    assert best.model == own.model == "lenet5"
    assert best.hyperparameters == CLASSIC | {"nesterov": True} | FOUND
    assert own.hyperparameters == CLASSIC | {"nesterov": True} | HAND_TUNED


def test_arms_of_the_classic_recipe_have_the_hand_tuned_point_as_reference(
    make_finalists: MakeFinalists,
) -> None:
    config = SweepConfig(epochs=7)
    finalists = make_finalists(config, HAND_TUNED, FOUND)
    arms = plan_arms(config, finalists[:1])
    assert _shown(arms) == [
        ("trial-2", "finalist", "lenet5", 2, False),
        ("hand-tuned", "baseline", "lenet5", None, True),
        ("lenet5", "baseline", "lenet5", None, False),
        ("mlp", "baseline", "mlp", None, False),
    ]
    assert [arm.hyperparameters for arm in arms] == [
        CLASSIC | FOUND,
        CLASSIC | HAND_TUNED,
        CLASSIC | PLAIN,
        CLASSIC | PLAIN,
    ]
    assert {arm.epochs for arm in arms} == {7}
    assert [arm.title for arm in arms] == [
        "trial 2",
        "hand-tuned LeNet-5",
        "plain LeNet-5",
        "MLP",
    ]


def test_arms_of_another_recipe_have_the_hand_tuned_point_in_it_as_reference(
    make_finalists: MakeFinalists,
) -> None:
    recipe = {
        "batch_size": 128,
        "schedule": "linear",
        "warmup_epochs": 2.0,
        "momentum": 0.95,
        "nesterov": True,
    }
    plain = SweepConfig().model_dump()["space"]
    rate = {"learning_rate": {"low": 0.005, "high": 0.2, "log": True}}
    config = SweepConfig.model_validate({"recipe": recipe, "space": plain | rate})
    finalists = make_finalists(config, FOUND | {"learning_rate": 0.04})
    arms = plan_arms(config, finalists)
    assert _shown(arms) == [
        ("trial-1", "finalist", "lenet5", 1, False),
        ("hand-tuned-recipe-of-trial-1", "baseline", "lenet5", None, True),
        ("hand-tuned", "baseline", "lenet5", None, True),
        ("lenet5", "baseline", "lenet5", None, False),
        ("mlp", "baseline", "mlp", None, False),
    ]
    own = recipe | {"learning_rate": 0.04}
    assert arms[0].hyperparameters == own | FOUND
    assert arms[1].hyperparameters == own | HAND_TUNED
    assert arms[2].hyperparameters == CLASSIC | HAND_TUNED


def test_reference_has_the_recipe_of_the_best_finalist(make_finalists: MakeFinalists) -> None:
    space = SweepConfig().model_dump()["space"]
    rate = {"learning_rate": {"low": 0.005, "high": 0.2, "log": True}}
    config = SweepConfig.model_validate({"space": space | rate, "recipe": {}})
    draws = [FOUND | {"learning_rate": rate} for rate in (0.01, 0.03, 0.02)]
    finalists = make_finalists(config, *draws)
    arms = plan_arms(config, finalists[:2])
    assert [arm.arm for arm in arms[:3]] == [
        "trial-3",
        "trial-2",
        "hand-tuned-recipe-of-trial-3",
    ]
    assert [arm.hyperparameters["learning_rate"] for arm in arms[:3]] == [0.02, 0.03, 0.02]


def test_reference_is_of_the_sweeps_own_model(make_finalists: MakeFinalists) -> None:
    config = SweepConfig(model="mlp")
    finalists = make_finalists(config, FOUND)
    arms = plan_arms(config, finalists)
    assert _shown(arms)[:3] == [
        ("trial-1", "finalist", "mlp", 1, False),
        ("hand-tuned-recipe-of-trial-1", "baseline", "mlp", None, True),
        ("hand-tuned", "baseline", "lenet5", None, True),
    ]


def test_regularizer_that_is_not_searched_does_not_make_another_recipe(
    make_finalists: MakeFinalists,
) -> None:
    config = SweepConfig.model_validate(
        {"space": {"dropout": {"low": 0.0, "high": 0.5}}, "recipe": {"rotation": 5.0}}
    )
    finalists = make_finalists(config, {"dropout": 0.2, "rotation": 5.0})
    arms = plan_arms(config, finalists)
    assert [arm.arm for arm in arms] == ["trial-1", "hand-tuned", "lenet5", "mlp"]
    assert arms[0].hyperparameters == CLASSIC | PLAIN | {"dropout": 0.2, "rotation": 5.0}
    assert arms[1].hyperparameters == CLASSIC | HAND_TUNED


def test_finalist_with_the_hand_tuned_point_is_not_trained_twice(
    make_finalists: MakeFinalists,
) -> None:
    config = SweepConfig()
    finalists = make_finalists(config, FOUND, HAND_TUNED)
    arms = plan_arms(config, finalists[:1])
    assert _shown(arms) == [
        ("trial-2", "finalist", "lenet5", 2, True),
        ("lenet5", "baseline", "lenet5", None, False),
        ("mlp", "baseline", "mlp", None, False),
    ]
    assert arms[0].title == "trial 2 (the hand-tuned point)"
    # A second finalist is measured against the first, which is the hand-tuned point.
    assert [arm.arm for arm in plan_arms(config, finalists)] == [
        "trial-2",
        "trial-1",
        "lenet5",
        "mlp",
    ]


def test_second_finalist_with_the_hand_tuned_point_is_the_firsts_reference(
    make_finalists: MakeFinalists,
) -> None:
    config = SweepConfig()
    arms = plan_arms(config, make_finalists(config, HAND_TUNED, FOUND))
    assert [(arm.arm, arm.reference) for arm in arms] == [
        ("trial-2", False),
        ("trial-1", True),
        ("lenet5", False),
        ("mlp", False),
    ]


def test_hand_tuned_point_in_another_recipe_is_not_the_published_one(
    make_finalists: MakeFinalists,
) -> None:
    config = SweepConfig.model_validate({"recipe": {"schedule": "linear"}})
    arms = plan_arms(config, make_finalists(config, FOUND, HAND_TUNED)[:1])
    assert _shown(arms)[:2] == [
        ("trial-2", "finalist", "lenet5", 2, True),
        ("hand-tuned", "baseline", "lenet5", None, True),
    ]


def test_finalists_of_one_training_are_one_arm(make_finalists: MakeFinalists) -> None:
    config = SweepConfig()
    arms = plan_arms(config, make_finalists(config, FOUND, FOUND, FOUND))
    assert [arm.arm for arm in arms] == ["trial-3", "hand-tuned", "lenet5", "mlp"]


def test_what_is_recorded_is_not_planned_under_another_name(
    make_finalists: MakeFinalists,
) -> None:
    """A sweep was confirmed, then extended, and has another best trial."""
    config = SweepConfig.model_validate({"recipe": {"schedule": "linear"}})
    better, best = make_finalists(config, FOUND, HAND_TUNED, FOUND | {"shift": 0.08})[1::-1]
    recorded = plan_arms(config, [better])
    assert [arm.arm for arm in plan_arms(config, [best], recorded)] == [
        "trial-3",
        "trial-2",  # the hand-tuned point in the same recipe, confirmed as a finalist
        "hand-tuned",
        "lenet5",
        "mlp",
    ]
    own = plan_arms(config, [best])
    assert own[1].arm == "hand-tuned-recipe-of-trial-3"
    assert own[1] in plan_arms(config, [best, better], own)
    # What is now the best is a finalist, whatever is recorded.
    assert plan_arms(config, [better], own)[0].arm == "trial-2"
