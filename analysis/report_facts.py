"""What a report says in words and tables, worked out from a sweep's files."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from analysis.comparison import Outcome, compare_arms, summarize_arm
from analysis.confirmation import Arm, Confirmation
from analysis.ledger import Ledger
from analysis.plots.style import counted
from analysis.selection import describe_rule, rank_trials
from analysis.verdict import describe_comparison, describe_verdict
from analysis.yaml_text import yaml_text

Row = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """What came out: one sentence, and how it is meant.

    Attributes:
        text: The sentence.
        outcome: Of the first finalist against the reference, or `none` where nothing was
            confirmed.
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
    is_reference: bool
    difference: str
    interval: str
    p: str
    finding: str
    outcome: Outcome


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
    if confirmation is not None:
        text = f"{describe_verdict(confirmation)}."
        outcomes = [row.outcome for row in comparison_rows(confirmation) if row.is_reference]
        note = (
            "Each figure is of the last epoch. The runs were trained on all 60,000 training "
            "images with seeds that the search never used, and the 10,000 test images played no "
            f"part in the search.{unfinished}"
        )
        return Verdict(text[:1].upper() + text[1:], outcomes[0] if outcomes else "none", note)
    if not ranked:
        text = "No trial has run all its epochs, so there is no best one."
        return Verdict(text, "none", unfinished.strip())
    best = ranked[0]
    text = (
        f"Not confirmed yet. The best of {counted(len(ledger.trials), 'trial')} is trial "
        f"{best.trial.trial_id}, with {percent(best.score)} on the validation images."
    )
    note = (
        "These images also chose it, so the figure flatters it, and it was not compared with "
        f"the hand-tuned hyperparameters.{unfinished}"
    )
    return Verdict(text, "none", note)


def arm_rows(confirmation: Confirmation) -> list[ArmRow]:
    """Returns a line for each arm, in their order."""
    rows = []
    for arm in confirmation.arms.values():
        summary = summarize_arm(confirmation, arm.arm)
        role = "reference" if arm == confirmation.reference else arm.role
        n_runs = len(confirmation.runs_of(arm.arm))
        seeds = f"{summary.n if summary else 0}"
        if n_runs > (summary.n if summary else 0):
            seeds += f" of {n_runs}"
        if summary is None:
            rows.append(ArmRow(arm.title, role, seeds, "–", "–", "–"))
            continue
        low_high = "–"
        if summary.interval is not None:
            low_high = " to ".join(f"{100 * end:.2f}" for end in summary.interval)
        sd = "–" if summary.sd is None else f"{100 * summary.sd:.3f}"
        rows.append(ArmRow(arm.title, role, seeds, f"{100 * summary.mean:.2f}", low_high, sd))
    return rows


def comparison_rows(confirmation: Confirmation) -> list[ComparisonRow]:
    """Returns a line for each finalist against each baseline."""
    rows = []
    for comparison in compare_arms(confirmation):
        finalist = confirmation.arms[comparison.finalist]
        baseline = confirmation.arms[comparison.baseline]
        interval, p = comparison.interval, comparison.p_adjusted
        finding = describe_comparison(confirmation, comparison)
        rows.append(
            ComparisonRow(
                finalist.title,
                baseline.title,
                baseline == confirmation.reference and finalist == _first_finalist(confirmation),
                "–" if comparison.difference is None else _signed(comparison.difference),
                "–" if interval is None else " to ".join(_signed(end) for end in interval),
                "–" if p is None else ("< 0.001" if p < 0.001 else f"{p:.3f}"),
                finding,
                comparison.outcome,
            )
        )
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


def _first_finalist(confirmation: Confirmation) -> Arm | None:
    return next(iter(confirmation.in_role("finalist")), None)


def _signed(difference: float) -> str:
    # Never a negative zero.
    return f"{round(100 * difference, 2) + 0.0:+.2f}"
