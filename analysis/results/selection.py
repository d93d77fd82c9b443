"""Which trial is best, and by which rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from analysis.records.confirmation import Arm, Confirmation
from analysis.records.ledger import Ledger, Trial

_LAST = 3


@dataclass(frozen=True)
class Selection:
    """A trial with the score it is ranked by, a fraction in [0, 1]."""

    trial: Trial
    score: float

    @property
    def rank(self) -> tuple[float, int]:
        """What the best has the least of: of equal scores, the earlier trial is the better."""
        return (-self.score, self.trial.trial_id)


def selection_score(val_accuracies: Sequence[float], *, schedule: str) -> float:
    """Returns what a trial is ranked by, from its validation accuracies by epoch.

    At a constant learning rate one epoch's accuracy jumps by about 0.12 points from the
    next, so it is the mean of the last three epochs (of all, where there are fewer). Where
    the learning rate decays to 0 the last epoch alone is what the training arrived at.
    """
    return fmean(val_accuracies[-_LAST:] if schedule == "constant" else val_accuracies[-1:])


def trial_score(trial: Trial) -> float | None:
    """Returns the score of a trial that ran all its epochs, None for any other."""
    if trial.state != "COMPLETE" or not trial.epochs:
        return None
    accuracies = [epoch.val_accuracy for epoch in trial.epochs]
    return selection_score(accuracies, schedule=trial.value("schedule"))


def trial_accuracy(trial: Trial) -> float | None:
    """Returns the validation accuracy to show for a trial: its score, once it has one.

    Until then, and where it never will, it is the last epoch's, if there is one.
    """
    score = trial_score(trial)
    return trial.val_accuracy if score is None else score


def rank_trials(ledger: Ledger) -> list[Selection]:
    """Returns the trials that ran all their epochs, best first; of equals the earlier one."""
    scored = [
        Selection(trial, score)
        for trial in ledger.trials.values()
        if (score := trial_score(trial)) is not None
    ]
    return sorted(scored, key=lambda selection: selection.rank)


def best_finalist(ledger: Ledger, confirmation: Confirmation) -> Arm | None:
    """Returns the arm of the best trial; None if that trial is not confirmed.

    A search that went on may have found a better trial than those that were confirmed.
    """
    ranked = rank_trials(ledger)
    return confirmation.finalist(ranked[0].trial.trial_id) if ranked else None


def describe_rule(config: dict[str, Any]) -> str:
    """Returns the rule in words."""
    decaying = "validation accuracy of the last epoch"
    n_last = "two" if config["epochs"] == 2 else "three"
    constant = f"mean validation accuracy of the last {n_last} epochs"
    if config["epochs"] == 1:
        constant = decaying
    if "schedule" in config["space"]:
        measure = f"{constant} (constant learning rate) or {decaying} (decaying)"
    else:
        measure = constant if config["recipe"]["schedule"] == "constant" else decaying
    ran = f"all {config['epochs']} epochs" if config["epochs"] > 1 else "their epoch"
    return f"highest {measure}, among trials that ran {ran}"
