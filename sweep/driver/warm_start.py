"""What a new sweep can learn from the trials of an earlier one."""

from collections import Counter

from analysis.formatting import count, dataset_name, network_name
from analysis.hyperparameters import format_value
from analysis.records.dataset import DataRecord
from analysis.records.ledger import EarlierSweep, EarlierTrial, Ledger, Trial
from analysis.results.selection import preview_score, rank_trials, trial_score
from sweep.config import SweepConfig
from sweep.errors import UsageError


def learn_from(ledger: Ledger, config: SweepConfig, data: DataRecord) -> EarlierSweep:
    """Return what a sweep of `data` can learn from an earlier one, or raise UsageError.

    A trial fits if its score is comparable: the same data, network, epochs and fixed
    hyperparameters. Its values of what is searched now must be in the search space.
    """
    if config.split != (split := ledger.config["split"]):
        raise UsageError(
            f"{ledger.name} chose its validation images with `split: {split}`, the new sweep with "
            f"`{config.split}`: add --set split={split}, or leave out --from"
        )
    if ledger.data.fingerprint != data.fingerprint:
        then = ledger.data
        raise UsageError(
            f"{ledger.name} has other data: {count(then.n_train, 'training image')} of "
            f"{then.side}×{then.side} pixels in {len(then.classes)} classes, from "
            f"{dataset_name(ledger.config)}; leave out --from"
        )
    reasons = Counter[str]()
    fitting: dict[int, EarlierTrial] = {}
    for trial in ledger.trials.values():
        if (reason := _why_unfit(trial, config)) is not None:
            reasons[reason] += 1
            continue
        score = preview_score(trial) if config.preview_epochs else trial_score(trial)
        fitting[trial.trial_id] = EarlierTrial(
            trial_id=trial.trial_id,
            state="COMPLETE" if score is not None else "STOPPED",
            hyperparameters={name: trial.value(name) for name in config.space},
            val_accuracies=[epoch.val_accuracy for epoch in trial.epochs],
            score=score,
        )
    if not fitting:
        listed = "".join(f"\n  {reason} ({count(n, 'trial')})" for reason, n in reasons.items())
        raise UsageError(
            f"no trial of {ledger.name} fits the new sweep:{listed or ' it has none'}\n"
            "change the config, or leave out --from"
        )
    ranked = (best.trial for best in rank_trials(ledger))
    learned = (trial.repeats if config.preview_epochs else trial.trial_id for trial in ranked)
    best = next((fitting[number] for number in learned if number in fitting), None)
    point = None if best is None else best.hyperparameters
    return EarlierSweep(
        name=ledger.name,
        trials=list(fitting.values()),
        point=None if point in config.initial_points else point,
    )


def describe_learning(earlier: EarlierSweep, n_trials: int, config: SweepConfig) -> str:
    """Return what the new sweep learns from an earlier one, which has `n_trials`."""
    text = f"learning from {len(earlier.trials)} of {count(n_trials, 'trial')} of {earlier.name}"
    if config.searcher == "random":
        text = f"the searcher `random` does not learn from {earlier.name}"
    if earlier.point is None:
        return text
    values = ", ".join(f"{name} {format_value(name, v)}" for name, v in earlier.point.items())
    return f"{text}; its best is tried after the initial points: {values}"


def _why_unfit(trial: Trial, config: SweepConfig) -> str | None:
    """Return why a trial does not fit a new sweep, or None."""
    if trial.state not in ("COMPLETE", "STOPPED") or not trial.epochs:
        return "failed, or has not ended"
    then = SweepConfig.model_validate(trial.config)
    if then.model != config.model:
        networks = [network_name(sweep.model_dump()) for sweep in (then, config)]
        return "the network was {}, now {}".format(*networks)
    for name in ("epochs", "split", "split_seed"):
        before, now = getattr(then, name), getattr(config, name)
        if before != now:
            return f"`{name}` was {before}, now {now}"
    learned = config.preview_epochs or config.epochs
    if trial.planned_epochs != learned:
        kind = "previews" if config.preview_epochs else "trials"
        return f"it was planned for {count(trial.planned_epochs, 'epoch')}, {kind} for {learned}"
    for name in dict.fromkeys((*config.recipe, *config.space, *then.recipe, *then.space)):
        value, fixed = trial.value(name), config.recipe.get(name)
        if name in config.space:
            if value is None or config.space[name].why_invalid(value) is not None:
                return f"`{name}` was outside the new range or choices"
        elif value != fixed:
            now = "its default" if fixed is None else format_value(name, fixed)
            return f"`{name}` was not {now}, as it is now"
    return None
