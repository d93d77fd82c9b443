"""What a report says in words and tables, worked out from a sweep's files."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from analysis.plots.style import counted
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger
from analysis.results.comparison import (
    Comparison,
    Outcome,
    compare_arms,
    compare_predictions,
    summarize_arm,
)
from analysis.results.selection import best_finalist, describe_rule, rank_trials
from analysis.results.verdict import decisive_comparison, describe_comparison, describe_verdict
from analysis.storage.folder import Folder
from analysis.yaml_text import yaml_text

Row = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """What came out: one sentence, and how it is meant.

    Attributes:
        text: The sentence.
        outcome: Of the best trial against its reference, or `none` where they were not
            compared.
        note: What else a reader must know to take it right.
    """

    text: str
    outcome: Outcome | str
    note: str


@dataclass(frozen=True)
class ArmRow:
    """A line of the table of arms; figures in percent, a dash for what there is not."""

    title: str
    role: str
    seeds: str
    mean: str
    interval: str
    sd: str


@dataclass(frozen=True)
class ComparisonRow:
    """A line of the table of comparisons; differences in percentage points."""

    finalist: str
    baseline: str
    is_verdict: bool
    difference: str
    interval: str
    p: str
    p_exact: str
    finding: str
    outcome: Outcome


@dataclass(frozen=True)
class PredictionRow:
    """A line of the table of two networks' answers: images that only one of them knows."""

    finalist: str
    baseline: str
    seed: int
    only_finalist: int
    only_baseline: int
    p: str


@dataclass(frozen=True)
class Best:
    """The best trial: its values, and a config that trains it once more."""

    trial_id: int
    accuracy: str
    rule: str
    rows: list[Row]
    config: str


def describe_sweep(ledger: Ledger) -> str:
    """Returns the sweep in one line: its model, its size, when it began."""
    begun = datetime.fromtimestamp(ledger.created.time, UTC)
    trials = counted(len(ledger.trials), "trial")
    epochs = counted(int(ledger.config["epochs"]), "epoch")
    model = ledger.config["model"]
    return f"{model} · {trials} of {epochs} · begun {begun:%Y-%m-%d %H:%M} UTC"


def find_verdict(ledger: Ledger, confirmation: Confirmation | None) -> Verdict:
    """Returns what came out, as far as there is evidence."""
    ranked = rank_trials(ledger)
    unfinished = _unfinished(ledger)
    if not ranked:
        text = "No trial has run all its epochs, so there is no best one."
        return Verdict(text, "none", unfinished.strip())
    best = ranked[0]
    if confirmation is not None:
        text = f"{describe_verdict(confirmation, best.trial.trial_id)}."
        finalist = best_finalist(ledger, confirmation)
        comparison = decisive_comparison(confirmation, finalist) if finalist else None
        note = (
            "Each figure is of the last epoch. The runs were trained on all 60,000 training "
            "images with seeds that the search never used, and the 10,000 test images played no "
            f"part in the search.{unfinished}"
        )
        outcome = "none" if comparison is None else comparison.outcome
        return Verdict(text[:1].upper() + text[1:], outcome, note)
    text = (
        f"Not confirmed yet. The best of {counted(len(ledger.trials), 'trial')} is trial "
        f"{best.trial.trial_id}, with {percent(best.score)} on the validation images."
    )
    note = (
        "These images also chose it, so the figure flatters it, and it was not compared with "
        f"the hand-tuned hyperparameters.{unfinished}"
    )
    return Verdict(text, "none", note)


def arm_rows(ledger: Ledger, confirmation: Confirmation) -> list[ArmRow]:
    """Returns a line for each arm, in their order."""
    finalist = best_finalist(ledger, confirmation)
    reference = confirmation.reference_of(finalist) if finalist else None
    rows = []
    for arm in confirmation.arms.values():
        summary = summarize_arm(confirmation, arm.arm)
        role = "reference" if arm == reference != finalist else arm.role
        n_finished, n_seeds = summary.n if summary else 0, len(confirmation.seeds)
        seeds = f"{n_finished}" if n_finished == n_seeds else f"{n_finished} of {n_seeds}"
        if summary is None:
            rows.append(ArmRow(arm.title, role, seeds, "–", "–", "–"))
            continue
        low_high = "–"
        if summary.interval is not None:
            low_high = " to ".join(f"{100 * end:.2f}" for end in summary.interval)
        sd = "–" if summary.sd is None else f"{100 * summary.sd:.3f}"
        rows.append(ArmRow(arm.title, role, seeds, f"{100 * summary.mean:.2f}", low_high, sd))
    return rows


def comparison_rows(ledger: Ledger, confirmation: Confirmation) -> list[ComparisonRow]:
    """Returns a line for each finalist against each baseline."""
    finalist = best_finalist(ledger, confirmation)
    decisive = decisive_comparison(confirmation, finalist) if finalist else None
    return [
        ComparisonRow(
            *_titles(confirmation, comparison),
            comparison == decisive,
            "–" if comparison.difference is None else _signed(comparison.difference),
            " to ".join(_signed(end) for end in comparison.interval or ()) or "–",
            _p(comparison.p_adjusted),
            _p(comparison.p_sign_flip),
            describe_comparison(confirmation, comparison),
            comparison.outcome,
        )
        for comparison in compare_arms(confirmation)
    ]


def prediction_rows(folder: Folder, confirmation: Confirmation) -> list[PredictionRow]:
    """Returns a line for each finalist against each baseline, where both left predictions.

    Raises:
        LedgerError: If the predictions are damaged.
    """
    rows = []
    for comparison in compare_arms(confirmation):
        compared = compare_predictions(folder, comparison)
        if compared is not None:
            seed, mcnemar = compared
            titles = _titles(confirmation, comparison)
            p = _p(mcnemar.p)
            rows.append(PredictionRow(*titles, seed, mcnemar.only_first, mcnemar.only_second, p))
    return rows


def find_best(ledger: Ledger) -> Best | None:
    """Returns the best trial, if a trial ran all its epochs."""
    ranked = rank_trials(ledger)
    if not ranked:
        return None
    trial = ranked[0].trial
    searched = {k: v for k, v in trial.hyperparameters.items() if k in ledger.config["space"]}
    fixed = {k: v for k, v in ledger.config["recipe"].items() if k not in searched}
    rows = [(name, f"{show(value)} (searched)") for name, value in searched.items()]
    rows += [(name, show(value)) for name, value in fixed.items()]
    # With one trial, the first point is all that is trained.
    config = ledger.config | {
        "trials": 1,
        "recipe": fixed,
        "first": [searched],
        "scheduler": "none",
    }
    return Best(
        trial.trial_id,
        percent(ranked[0].score),
        describe_rule(ledger.config),
        rows,
        yaml_text(config),
    )


def percent(fraction: float) -> str:
    """Returns a fraction in percent, to two digits."""
    return f"{100 * fraction:.2f} %"


def show(value: Any) -> str:
    """Returns a value as it is, but numbers to four digits."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _unfinished(ledger: Ledger) -> str:
    """A sentence, a space before it, for a search that has not run all its trials."""
    n_ended = sum(trial.ended is not None for trial in ledger.trials.values())
    planned = int(ledger.config["trials"])
    if n_ended >= planned:
        return ""
    return f" The search is not finished: {n_ended:,} of {planned:,} trials have ended."


def _titles(confirmation: Confirmation, comparison: Comparison) -> tuple[str, str]:
    """The titles of the finalist and of the baseline."""
    arms = confirmation.arms
    return arms[comparison.finalist].title, arms[comparison.baseline].title


def _p(p: float | None) -> str:
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _signed(difference: float) -> str:
    # Never a negative zero.
    return f"{round(100 * difference, 2) + 0.0:+.2f}"
