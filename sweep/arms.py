"""The arms of a confirmation: which finalists are compared with which baselines."""

import time
from typing import Any

from analysis.confirmation import Arm
from analysis.selection import Selection
from sweep.config import HAND_TUNED, Recipe, SweepConfig
from sweep.config.domains import REGULARIZERS

HAND_TUNED_ARM = "hand-tuned"


def plan_arms(config: SweepConfig, finalists: list[Selection]) -> list[Arm]:
    """Returns the finalists, then the baselines, all for as many epochs as the sweep's.

    The baselines are the hand-tuned point, the plain LeNet-5 and the MLP in the recipe of
    the published report, which is `classic`'s. Where the best finalist's recipe is another,
    the hand-tuned point in that recipe joins them, and is what the finalists are measured
    against: what the recipe brings must not be credited to the hyperparameters.

    Args:
        config: The sweep's.
        finalists: Best first, at least one.
    """
    classic = Recipe().model_dump()
    arms = [_finalist(config, finalist) for finalist in finalists]
    own = {name: arms[0].hyperparameters[name] for name in classic if name not in REGULARIZERS}
    has_own_recipe = config.model != "lenet5" or any(own[k] != classic[k] for k in own)
    if has_own_recipe:
        trial_id = finalists[0].trial.trial_id
        arms.append(
            _baseline(
                config,
                f"{HAND_TUNED_ARM}-recipe-of-trial-{trial_id}",
                f"hand-tuned, recipe of trial {trial_id}",
                config.model,
                {**own, **HAND_TUNED},
                reference=True,
            )
        )
    return [
        *arms,
        _baseline(
            config,
            HAND_TUNED_ARM,
            "hand-tuned LeNet-5",
            "lenet5",
            classic | dict(HAND_TUNED),
            reference=not has_own_recipe,
        ),
        _baseline(config, "lenet5", "plain LeNet-5", "lenet5", classic),
        _baseline(config, "mlp", "MLP", "mlp", classic),
    ]


def _finalist(config: SweepConfig, finalist: Selection) -> Arm:
    trial = finalist.trial
    draw = {name: trial.hyperparameters[name] for name in config.space}
    return Arm(
        time=time.time(),
        arm=f"trial-{trial.trial_id}",
        title=f"trial {trial.trial_id}",
        role="finalist",
        model=config.model,
        trial_id=trial.trial_id,
        hyperparameters=config.hyperparameters(draw),
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
