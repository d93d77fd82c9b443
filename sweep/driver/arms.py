"""The arms of a confirmation: which finalists are compared with which baselines."""

import time
from collections.abc import Collection
from typing import Any

import msgspec

from analysis.records.confirmation import Arm
from analysis.results.selection import Selection
from sweep.config import HAND_TUNED, Recipe, SweepConfig

HAND_TUNED_ARM = "hand-tuned"


def plan_arms(
    config: SweepConfig, finalists: list[Selection], recorded: Collection[Arm] = ()
) -> list[Arm]:
    """Returns the finalists, then the baselines, all for as many epochs as the sweep's.

    The baselines are the hand-tuned point, the plain LeNet-5 and the MLP in the recipe of
    the published report, which is `classic`'s. Where the best finalist's recipe is another,
    the hand-tuned point in that recipe joins them, and is what the finalists are measured
    against: what the recipe brings must not be credited to the hyperparameters.

    Nothing is trained twice under two names: an arm is left out for an earlier one that is
    the same training, be it of this plan or of the confirmation so far. So a finalist with
    the hand-tuned point is the reference, too.

    Args:
        config: The sweep's.
        finalists: Best first, at least one.
        recorded: The arms that the confirmation has already.
    """
    classic = Recipe().model_dump()
    planned = [_finalist(config, finalist) for finalist in finalists]
    hand_tuned = _references(config, planned[0], classic)
    best, *others = [_marked(finalist, hand_tuned) for finalist in planned]
    arms = [best]
    for arm in (*others, *hand_tuned):
        same = (known for known in (*arms, *recorded) if known.differences(arm) == 0)
        if (chosen := next(same, arm)) not in arms:
            arms.append(chosen)
    return [
        *arms,
        _baseline(config, "lenet5", "plain LeNet-5", "lenet5", classic),
        _baseline(config, "mlp", "MLP", "mlp", classic),
    ]


def _references(config: SweepConfig, best: Arm, classic: dict[str, Any]) -> list[Arm]:
    """The hand-tuned point, first in the best finalist's recipe if that is another."""
    own = _baseline(
        config,
        f"{HAND_TUNED_ARM}-recipe-of-trial-{best.trial_id}",
        f"hand-tuned, recipe of trial {best.trial_id}",
        best.model,
        {**best.hyperparameters, **HAND_TUNED},
        reference=True,
    )
    published = _baseline(
        config,
        HAND_TUNED_ARM,
        "hand-tuned LeNet-5",
        "lenet5",
        {**classic, **HAND_TUNED},
        reference=True,
    )
    return [own, published] if own.differences(published) else [published]


def _marked(finalist: Arm, hand_tuned: list[Arm]) -> Arm:
    """The finalist, and that it is a reference if it has the hand-tuned point."""
    if all(finalist.differences(arm) for arm in hand_tuned):
        return finalist
    return msgspec.structs.replace(
        finalist, title=f"{finalist.title} (the hand-tuned point)", reference=True
    )


def _finalist(config: SweepConfig, finalist: Selection) -> Arm:
    trial = finalist.trial
    own = SweepConfig.model_validate(trial.config)  # the sweep's may have changed since
    return Arm(
        time=time.time(),
        arm=f"trial-{trial.trial_id}",
        title=f"trial {trial.trial_id}",
        role="finalist",
        model=own.model,
        trial_id=trial.trial_id,
        hyperparameters=own.hyperparameters(trial.hyperparameters),
        epochs=config.epochs,
        reference=False,
    )


def _baseline(
    config: SweepConfig,
    arm: str,
    title: str,
    model: str,
    hyperparameters: dict[str, Any],
    *,
    reference: bool = False,
) -> Arm:
    return Arm(
        time=time.time(),
        arm=arm,
        title=title,
        role="baseline",
        model=model,
        trial_id=None,
        hyperparameters=hyperparameters,
        epochs=config.epochs,
        reference=reference,
    )
