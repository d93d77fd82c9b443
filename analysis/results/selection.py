"""Which trial is best, and by which rule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

from analysis.formatting import count
from analysis.hyperparameters import REGULARIZERS, format_value, in_words
from analysis.records.confirmation import Arm, Confirmation
from analysis.records.ledger import Ledger, Origin, Trial

ORIGINS: Mapping[Origin, str] = {
    "initial": "an initial point",
    "proposed": "proposed by the searcher",
    "earlier sweep": "the best of an earlier sweep",
}
"""Where a trial comes from, in words."""


def origin_in_words(trial: Trial) -> str:
    """Return where a trial comes from, and which preview it repeats."""
    if trial.repeats is None:
        return ORIGINS[trial.origin]
    epochs = count(trial.planned_epochs, "epoch")
    return f"{ORIGINS[trial.origin]}, repeats preview {trial.repeats} in all {epochs}"


@dataclass(frozen=True)
class Selection:
    """A trial with the score that it is ranked by, a fraction in [0, 1]."""

    trial: Trial
    score: float

    @property
    def rank(self) -> tuple[float, int]:
        """The sort key: the highest score first, of equal scores the earlier trial."""
        return (-self.score, self.trial.trial_id)


def selection_score(trial: Trial) -> float:
    """Return the score of a trial from the validation accuracies of its epochs, at least one.

    At a constant learning rate the accuracy varies by about 0.12 points from epoch to epoch,
    so the score is the mean of the last three epochs (or of all, if there are fewer). With a
    decaying learning rate, or if the schedule is searched, it is the last epoch's accuracy. The
    score is rounded, so that equal numbers of correct images give equal scores.
    """
    is_constant = "schedule" not in trial.config["space"] and trial.value("schedule") == "constant"
    shown = trial.epochs[-3:] if is_constant else trial.epochs[-1:]
    return round(fmean(epoch.val_accuracy for epoch in shown), 12)


def trial_score(trial: Trial) -> float | None:
    """Return the score of a trial that ran all its epochs, None for any other."""
    return selection_score(trial) if trial.state == "COMPLETE" and trial.epochs else None


def preview_score(trial: Trial) -> float | None:
    """Return the score of a preview that has ended, None for any other trial."""
    return selection_score(trial) if trial.outcome == "preview" else None


def trial_accuracy(trial: Trial) -> float | None:
    """Return the validation accuracy to show: the score, or else that of the last epoch."""
    score = trial_score(trial)
    return trial.val_accuracy if score is None else score


def rank_trials(
    ledger: Ledger, score_of: Callable[[Trial], float | None] = trial_score
) -> list[Selection]:
    """Return the trials with a score, by default those that ran all their epochs, best first."""
    scores = ((trial, score_of(trial)) for trial in ledger.trials.values())
    scored = [Selection(trial, score) for trial, score in scores if score is not None]
    return sorted(scored, key=lambda selection: selection.rank)


def best_trial(ledger: Ledger) -> Selection | None:
    """Return the first of `rank_trials`; None if no trial ran all its epochs."""
    return next(iter(rank_trials(ledger)), None)


def best_first(ledger: Ledger) -> list[Trial]:
    """Return all trials: those that ran all their epochs by rank, then the others by progress."""
    ranked = {selection.trial.trial_id: selection.trial for selection in rank_trials(ledger)}
    others = [trial for trial in ledger.trials.values() if trial.trial_id not in ranked]
    others.sort(key=lambda t: (-len(t.epochs), -(t.val_accuracy or 0), t.trial_id))
    return [*ranked.values(), *others]


def best_finalist(ledger: Ledger, confirmation: Confirmation) -> Arm | None:
    """Return the arm of the best trial; None if it is not confirmed, as after a longer search."""
    best = best_trial(ledger)
    return confirmation.finalist(best.trial.trial_id) if best else None


def describe_origin(ledger: Ledger) -> str | None:
    """Say that no proposal of the searcher beat a point that was given, as part of a sentence.

    None if one did, if none has ended, or if no trial ran all its epochs.
    """
    best = best_trial(ledger)
    ended = [trial for trial in ledger.trials.values() if trial.state != "RUNNING"]
    n_proposed = sum(trial.origin == "proposed" and not trial.repeats for trial in ended)
    if best is None or not n_proposed or best.trial.origin == "proposed":
        return None
    given = "initial point" if best.trial.origin == "initial" else "earlier sweep's best"
    beat = f"none of {n_proposed:,} proposals of the searcher beat"
    if n_proposed == 1:
        beat = "the one proposal of the searcher did not beat"
    return f"{beat} the {given}, trial {best.trial.trial_id}"


def searched_recipe(trial: Trial, baseline: Arm) -> list[str]:
    """Return what the recipe of a baseline has from the search that found `trial`.

    The hand-tuned baseline in a trial's own recipe has the trial's values of, for example, the
    learning rate. They were searched together with the trial's regularizers, not with those of
    the baseline. Other baselines have nothing from the search.
    """
    names = [name for name in trial.config["space"] if name not in REGULARIZERS]
    is_shared = baseline.role == "baseline" and baseline.reference
    is_shared &= all(baseline.hyperparameters.get(name) == trial.value(name) for name in names)
    return names if is_shared else []


def describe_baseline(baseline: Arm, best: Trial | None) -> str:
    """Return the regularizers of a baseline in words, and what it has from the search."""
    used = [(name, baseline.hyperparameters.get(name)) for name in REGULARIZERS]
    values = [f"{in_words(name)} {format_value(name, value)}" for name, value in used if value]
    text = ", ".join(values) or "no regularizers"
    if best is not None and (names := searched_recipe(best, baseline)):
        searched = ", ".join(map(in_words, names))
        text += f"; the {searched} that the search chose for trial {best.trial_id}"
    return text


def describe_rule(ledger: Ledger) -> str:
    """Return the rule in words, beginning with `highest`.

    It is that of the best trial's config; as long as there is none, that of the sweep's.
    """
    best = best_trial(ledger)
    config = best.trial.config if best else ledger.config
    measure = "validation accuracy of the last epoch"
    is_constant = "schedule" not in config["space"] and config["recipe"]["schedule"] == "constant"
    if is_constant and config["epochs"] > 1:
        n_last = "two" if config["epochs"] == 2 else "three"
        measure = f"mean validation accuracy of the last {n_last} epochs"
    return f"highest {measure}, among trials that ran all their epochs"
