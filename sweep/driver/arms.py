"""The arms of a confirmation: which finalists are compared with which baselines."""

import time
from collections.abc import Collection
from typing import Any

from msgspec.structs import replace

from analysis.hyperparameters import DEFAULTS, HAND_TUNED
from analysis.records.confirmation import Arm
from analysis.results.selection import Selection
from sweep.config import SweepConfig


def plan_arms(
    config: SweepConfig, finalists: list[Selection], recorded: Collection[Arm] = ()
) -> list[Arm]:
    """Return the finalists, then the baselines, all with the epochs of the sweep.

    The baselines are the hand-tuned point, the plain LeNet-5 and the MLP, in the published
    recipe, `classic`'s. If the best finalist has another recipe, the hand-tuned point in that
    recipe joins them. It is then the reference of the finalists: a better recipe must not be
    credited to the hyperparameters.

    No training is planned under two names: an arm is replaced by an equal one that comes
    before it or is recorded. So a finalist with the hand-tuned point is a reference, too.

    `finalists` are at least one, best first; `recorded` are the arms that the confirmation has
    already.
    """
    classic: dict[str, Any] = dict(DEFAULTS)
    tuned = _baseline(config, "hand-tuned", "hand-tuned LeNet-5", {**classic, **HAND_TUNED})
    planned = [_finalist(config, finalist) for finalist in finalists]
    best = planned[0]
    own = replace(
        tuned,
        arm=f"hand-tuned-recipe-of-trial-{best.trial_id}",
        title=f"hand-tuned, recipe of trial {best.trial_id}",
        model=best.model,
        hyperparameters={**best.hyperparameters, **HAND_TUNED},
    )
    references = [own, tuned] if own.differences(tuned) else [tuned]
    best, *others = [_marked(finalist, references) for finalist in planned]
    arms = [best]
    for arm in (*others, *references):
        equals = (known for known in (*arms, *recorded) if known.differences(arm) == 0)
        if (chosen := next(equals, arm)) not in arms:
            arms.append(chosen)
    return [
        *arms,
        _baseline(config, "lenet5", "plain LeNet-5", classic),
        _baseline(config, "mlp", "MLP", classic, model="mlp"),
    ]


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


def _marked(finalist: Arm, references: list[Arm]) -> Arm:
    """Mark a finalist with the hand-tuned point as a reference."""
    if all(finalist.differences(reference) for reference in references):
        return finalist
    return replace(finalist, title=f"{finalist.title} (the hand-tuned point)", reference=True)


def _baseline(
    config: SweepConfig,
    name: str,
    title: str,
    hyperparameters: dict[str, Any],
    model: str = "lenet5",
) -> Arm:
    return Arm(
        time=time.time(),
        arm=name,
        title=title,
        role="baseline",
        model=model,
        trial_id=None,
        hyperparameters=hyperparameters,
        epochs=config.epochs,
        reference=name == "hand-tuned",
    )
