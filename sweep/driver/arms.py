"""The plan of a confirmation: which finalists are compared with which baselines."""

import time
from collections.abc import Collection

from msgspec.structs import replace

from analysis.hyperparameters import DEFAULTS, HAND_TUNED, REGULARIZERS
from analysis.records.confirmation import Arm, Confirmation, Plan
from analysis.records.ledger import Ledger, Trial, has_diverged
from analysis.records.seeds import confirmation_seeds
from analysis.results.completeness import n_seeds_planned
from analysis.results.selection import Selection, rank_trials
from models.registry import MODELS
from sweep.config import SweepConfig


def plan_arms(
    config: SweepConfig,
    finalists: list[Selection],
    first: Trial | None = None,
    recorded: Collection[Arm] = (),
) -> list[Arm]:
    """Return the finalists, then the baselines, all with the epochs of the sweep.

    On MNIST the baselines are LeNet-5 with the hand-tuned point, the plain LeNet-5 and the MLP,
    in the published recipe, `classic`'s. If the best finalist has another recipe, the hand-tuned
    point in that recipe joins them. It is then the reference of the finalists: a better recipe
    must not be credited to the hyperparameters, nor a regularizer that the recipe fixes. For
    other data, and for networks of the user, the reference is the best finalist without any
    regularizers, including those that the recipe fixes, and the initial point is a baseline.

    Of arms with equal values only the first is planned, or the recorded one. So a finalist with
    a reference's values is a reference, too, unless it is recorded as none.

    `finalists` has at least one, best first; `first` is trial 1 of the sweep; `recorded` has
    the arms already in the confirmation.
    """
    classic = dict(DEFAULTS)
    plain = Arm(
        time=time.time(),
        arm="lenet5",
        title="plain LeNet-5",
        role="baseline",
        model="lenet5",
        trial_id=None,
        hyperparameters=classic,
        epochs=config.epochs,
        reference=False,
    )
    mlp = replace(plain, arm="mlp", title="MLP", model="mlp")
    tuned = replace(
        plain,
        arm="hand-tuned",
        title="hand-tuned LeNet-5",
        hyperparameters={**classic, **HAND_TUNED},
        reference=True,
    )
    planned = [_finalist(finalist.trial, plain) for finalist in finalists]
    best, without = planned[0], dict.fromkeys(REGULARIZERS, 0.0)
    if config.dataset != "mnist" or best.model not in MODELS:
        off = replace(
            plain,
            arm=f"plain-{best.arm}",
            title=f"{best.title} without regularizers",
            model=best.model,
            hyperparameters={**best.hyperparameters, **without},
            reference=True,
        )
        others = [off]
        if first is not None and first.origin == "initial" and first.state != "FAILED":
            initial = replace(_finalist(first, plain), title="initial point", role="baseline")
            others.append(replace(initial, arm="initial-point", trial_id=None))
        return _without_equals([*planned, *others], recorded)
    own = replace(
        tuned,
        arm=f"hand-tuned-recipe-of-trial-{best.trial_id}",
        title=f"hand-tuned, recipe of trial {best.trial_id}",
        model=best.model,
        hyperparameters={
            **best.hyperparameters,
            **{name: 0.0 for name in REGULARIZERS if name in finalists[0].trial.hyperparameters},
            **HAND_TUNED,
        },
    )
    references = [own, tuned] if own.differences(tuned) else [tuned]
    return _without_equals([*planned, *references, plain, mlp], recorded)


def planned_arms(
    config: SweepConfig, ledger: Ledger, confirmation: Confirmation | None
) -> list[Arm]:
    """Return the arms of a confirmation; see `plan_arms`."""
    recorded = {} if confirmation is None else confirmation.arms
    finalists, first = rank_trials(ledger)[: plan_of(config).top_k], ledger.trials.get(1)
    if confirmation is not None and confirmation.taken_looks and "initial-point" not in recorded:
        first = None  # another comparison would change those of earlier versions
    return plan_arms(config, finalists, first, recorded.values())


def planned_seeds(
    config: SweepConfig, ledger: Ledger, confirmation: Confirmation | None
) -> list[int]:
    """Return the seeds up to the next look of a confirmation, or up to its last."""
    return confirmation_seeds(config.seed, n_seeds_planned(plan_of(config), ledger, confirmation))


def plan_of(config: SweepConfig) -> Plan:
    """Return the config's plan of the confirmation, which it must have."""
    assert config.confirm is not None
    return Plan(time.time(), **config.confirm.model_dump())


def missing_runs(
    confirmation: Confirmation | None, arms: list[str], seeds: list[int]
) -> list[tuple[str, int]]:
    """Return the runs still to be trained, seed by seed, so that arms stay comparable.

    A run that failed is trained again, unless it diverged, which would come again.
    """
    done = {} if confirmation is None else confirmation.runs
    return [
        (arm, seed)
        for seed in seeds
        for arm in arms
        if (run := done.get((arm, seed))) is None
        or not (run.state == "COMPLETE" or has_diverged(run.reason))
    ]


def _finalist(trial: Trial, plain: Arm) -> Arm:
    own = SweepConfig.model_validate(trial.config)  # the sweep's may have changed since
    return replace(
        plain,
        arm=f"trial-{trial.trial_id}",
        title=f"trial {trial.trial_id}",
        role="finalist",
        model=own.model,
        trial_id=trial.trial_id,
        hyperparameters=own.hyperparameters(trial.hyperparameters),
    )


def _without_equals(planned: list[Arm], recorded: Collection[Arm]) -> list[Arm]:
    """Return the arms, the best finalist first, each of them under one name.

    A reference is not replaced by an arm that is none.
    """
    references = [arm for arm in planned if arm.reference]
    recorded_arms = {arm.arm: arm for arm in recorded}
    best, *others = [recorded_arms.get(arm.arm) or _marked(arm, references) for arm in planned]
    arms = [best]
    for arm in others:
        equals = (
            known
            for known in (*arms, *recorded)
            if known.differences(arm) == 0 and known.reference >= arm.reference
        )
        if (chosen := next(equals, arm)) not in arms:
            arms.append(chosen)
    return arms


def _marked(arm: Arm, references: list[Arm]) -> Arm:
    """Mark a finalist with the values of a reference as one."""
    if arm.role != "finalist" or all(map(arm.differences, references)):
        return arm
    is_tuned = any(arm.hyperparameters.get(name) for name in REGULARIZERS)
    point = "the hand-tuned point" if is_tuned else "without regularizers"
    return replace(arm, title=f"{arm.title} ({point})", reference=True)
