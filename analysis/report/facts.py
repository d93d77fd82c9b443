"""What a report states about a sweep's search and confirmation."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from analysis.formatting import count, percent
from analysis.hyperparameters import DEFAULTS, format_value
from analysis.plots.results import Results
from analysis.records.confirmation import Arm, Confirmation
from analysis.records.ledger import Ledger
from analysis.records.seeds import trial_seed
from analysis.results.comparison import (
    Comparison,
    Outcome,
    compare_arms,
    compare_predictions,
    summarize_arm,
)
from analysis.results.selection import Selection, best_finalist, describe_rule, rank_trials
from analysis.results.statistics import McNemar, Summary
from analysis.results.verdict import decisive_comparison, describe_comparison, describe_verdict
from analysis.storage.folder import Folder
from analysis.yaml_text import yaml_text

Row = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """The result in one sentence, with a note on how to read it.

    `outcome` is the best trial's against its reference, or `none` where there is no comparison.
    """

    text: str
    outcome: Outcome | str
    note: str


@dataclass(frozen=True)
class ArmRow:
    """An arm of the confirmation; `summary` is None if no run has finished."""

    arm: Arm
    role: str
    seeds: str
    summary: Summary | None


@dataclass(frozen=True)
class ComparisonRow:
    """A finalist against a baseline.

    `networks` is their first common seed, with McNemar's comparison of the two networks.
    """

    finalist: str
    baseline: str
    comparison: Comparison
    is_verdict: bool
    finding: str
    networks: tuple[int, McNemar] | None


@dataclass(frozen=True)
class Best:
    """The best trial: its hyperparameters, and a config that trains it again."""

    trial_id: int
    accuracy: str
    rule: str
    rows: list[Row]
    config: str
    seed_note: str


def describe_sweep(results: Results) -> str:
    """Return the sweep in one line: its model, its size, when it began."""
    begun = datetime.fromtimestamp(results.ledger.created.time, UTC)
    model = results.ledger.config["model"]
    return f"{model} · {results.size} · begun {begun:%Y-%m-%d %H:%M} UTC"


def find_verdict(ledger: Ledger, confirmation: Confirmation | None) -> Verdict:
    """Return the result of the sweep, as far as there is evidence."""
    ranked, unfinished = rank_trials(ledger), _unfinished(ledger)
    if not ranked:
        return Verdict(
            "No trial has run all its epochs, so there is no best trial.", "none", unfinished
        )
    best = ranked[0]
    if confirmation is None:
        text = (
            f"Not confirmed yet. The best of {count(len(ledger.trials), 'trial')} is trial "
            f"{best.trial.trial_id}, with {percent(best.score)} on the validation images."
        )
        note = (
            "The same images chose this trial, so this accuracy is too optimistic. The trial has "
            f"not been compared with the hand-tuned hyperparameters. {unfinished}"
        )
        return Verdict(text, "none", note)
    finalist = best_finalist(ledger, confirmation)
    comparison = decisive_comparison(confirmation, finalist)
    note = (
        "All accuracies are those of the last epoch. The runs were trained on all 60,000 training "
        "images, with seeds that the search did not use. The search did not use the 10,000 test "
        f"images. {unfinished}"
    )
    text = describe_verdict(confirmation, best.trial.trial_id)
    return Verdict(text, comparison.outcome if comparison else "none", note)


def arm_rows(ledger: Ledger, confirmation: Confirmation) -> Iterator[ArmRow]:
    """Return one row per arm, in their order."""
    finalist = best_finalist(ledger, confirmation)
    reference = confirmation.reference_of(finalist) if finalist else None
    for arm in confirmation.arms.values():
        summary = summarize_arm(confirmation, arm.arm)
        role = "reference" if arm == reference != finalist else arm.role
        n_finished, n_seeds = summary.n if summary else 0, len(confirmation.seeds)
        seeds = f"{n_finished}" if n_finished == n_seeds else f"{n_finished} of {n_seeds}"
        yield ArmRow(arm, role, seeds, summary)


def comparison_rows(
    folder: Folder, ledger: Ledger, confirmation: Confirmation
) -> Iterator[ComparisonRow]:
    """Return one row per finalist and baseline.

    Raises:
        LedgerError: If predictions in `folder` are damaged.
    """
    finalist = best_finalist(ledger, confirmation)
    decisive = decisive_comparison(confirmation, finalist)
    seeds = confirmation.ordered_seeds(ledger.config["seed"])
    for comparison in compare_arms(confirmation):
        yield ComparisonRow(
            confirmation.arms[comparison.finalist].title,
            confirmation.arms[comparison.baseline].title,
            comparison,
            comparison == decisive,
            describe_comparison(confirmation, comparison),
            compare_predictions(folder, comparison, seeds),
        )


def find_best(ledger: Ledger) -> Best | None:
    """Return the best trial, None if no trial ran all its epochs.

    All of it is the trial's own config: the sweep's may have changed since.
    """
    ranked = rank_trials(ledger)
    if not ranked:
        return None
    trial = ranked[0].trial
    config = dict(trial.config)
    searched = {k: v for k, v in trial.hyperparameters.items() if k in config["space"]}
    fixed = {k: v for k, v in config["recipe"].items() if k not in searched}
    rows = [(k, f"{format_value(k, value)} (searched)") for k, value in searched.items()]
    others = {k: value for k, value in {**DEFAULTS, **fixed}.items() if k not in searched}
    rows += [(k, format_value(k, value)) for k, value in others.items()]
    # With one trial, only the first initial point is trained.
    config |= {"trials": 1, "recipe": fixed, "initial_points": [searched], "scheduler": "none"}
    config.pop("first", None)  # what version 0.1.0 calls them
    return Best(
        trial.trial_id,
        percent(ranked[0].score),
        describe_rule(trial.config),
        rows,
        yaml_text(config),
        _seed_note(ranked[0]),
    )


def _seed_note(best: Selection) -> str:
    """Say by which seed the trial differs from a training of its config, if it does."""
    trial, again = best.trial, trial_seed(best.trial.config["seed"], 1)
    if trial.seed == again:
        return ""
    return (
        f"Trial {trial.trial_id} was trained with the seed {trial.seed}, but this config trains "
        f"with the seed {again}, so the accuracy will differ a little."
    )


def _unfinished(ledger: Ledger) -> str:
    """Return a sentence about a search that has not run all its trials, else an empty text."""
    planned = int(ledger.config["trials"])
    if ledger.n_ended >= planned:
        return ""
    return f"The search is not finished: {ledger.n_ended:,} of {planned:,} trials have ended."
