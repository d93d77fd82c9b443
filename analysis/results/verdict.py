"""What a confirmation shows, in plain words, and no more than its numbers carry."""

from math import floor, log10

from analysis.records.confirmation import Arm, Confirmation
from analysis.records.ledger import Ledger
from analysis.results.comparison import Comparison, compare_arms
from analysis.results.selection import best_finalist, rank_trials


def describe_comparison(confirmation: Confirmation, comparison: Comparison) -> str:
    """Returns what a comparison shows of its finalist, as the rest of a sentence about it."""
    finalist = confirmation.arms[comparison.finalist]
    baseline = confirmation.arms[comparison.baseline]
    shown = _finding(comparison, baseline.title)
    left_out = [_left_out(confirmation, arm) for arm in (finalist, baseline)]
    return "; ".join([shown, *(text for text in left_out if text)])


def decisive_comparison(confirmation: Confirmation, finalist: Arm) -> Comparison | None:
    """Returns the comparison that the verdict on a finalist is about: with its reference.

    None if it has no reference, or is its own.
    """
    reference = confirmation.reference_of(finalist)
    if reference is None or finalist.differences(reference) == 0:
        return None
    (comparison,) = (
        comparison
        for comparison in compare_arms(confirmation)
        if (comparison.finalist, comparison.baseline) == (finalist.arm, reference.arm)
    )
    return comparison


def describe_verdict(confirmation: Confirmation, trial_id: int) -> str:
    """Returns the verdict on the hyperparameters of the best trial, `trial_id`."""
    finalist = confirmation.finalist(trial_id)
    if finalist is None:
        return f"trial {trial_id}, now the best, is not confirmed yet{_instead(confirmation)}"
    comparison = decisive_comparison(confirmation, finalist)
    if comparison is not None:
        return f"{finalist.title} {describe_comparison(confirmation, comparison)}"
    if confirmation.reference_of(finalist) is None:
        return f"{finalist.title} was compared with no hand-tuned baseline"
    return (
        f"the best of the sweep is the hand-tuned point itself, trial {trial_id}: no other "
        "trial scored higher on the validation images"
    )


def missing_step(ledger: Ledger, confirmation: Confirmation | None) -> str | None:
    """Returns the command, without program and sweep, that trains what the verdict lacks.

    None if nothing is lacking, or if no trial ran all its epochs.
    """
    if not rank_trials(ledger):
        return None
    if confirmation is None or not confirmation.runs:
        return "confirm"
    finalist = best_finalist(ledger, confirmation)
    if finalist is not None:
        reference = confirmation.reference_of(finalist)
        if not any(_n_unfinished(confirmation, arm) for arm in (finalist, reference) if arm):
            return None
    planned = (ledger.config.get("confirm") or {}).get("seeds", 0)
    n_seeds = len(confirmation.seeds)
    return f"confirm --seeds {n_seeds}" if n_seeds > planned else "confirm"


def _instead(confirmation: Confirmation) -> str:
    """Says which trials are confirmed, where the best one is not."""
    titles = [finalist.title for finalist in confirmation.in_role("finalist")]
    return f"; what is confirmed: {', '.join(titles)}" if titles else ""


def _finding(comparison: Comparison, title: str) -> str:
    n_seeds, difference = len(comparison.seeds), comparison.difference
    if difference is None:
        return f"cannot be compared with {title}: no seed has finished in both"
    points = f"{_points(difference, 2)} points"
    if n_seeds == 1:
        return (
            f"is not shown to beat {title}: difference {points} with the one seed that has "
            "finished in both, which cannot tell it from chance"
        )
    if comparison.interval is None:
        return (
            f"is not shown to beat {title}: difference {points} with each of {n_seeds} seeds, "
            "and without any spread there is nothing to judge it by"
        )
    low, high = comparison.interval
    if comparison.outcome == "worse":
        text = f"is worse than {title} by {{}} points ({{}})"
        return _filled(text, comparison, -difference, -high, -low)
    if comparison.outcome == "better":
        return _filled(f"beats {title} by {{}} points ({{}})", comparison, difference, low, high)
    text = f"is not shown to beat {title}: difference {{}} points ({{}})"
    return _filled(text, comparison, difference, low, high) + _outlook(comparison)


def _filled(text: str, comparison: Comparison, difference: float, low: float, high: float) -> str:
    """Fills in a difference and its interval, with as many digits as show them apart from 0."""
    digits = 2
    while digits < 4 and comparison.outcome != "open" and round(100 * low, digits) == 0:
        digits += 1
    interval = f"95 % interval {_points(low, digits)} to {_points(high, digits)}"
    details = f"{interval}, {len(comparison.seeds)} seeds"
    if comparison.n_comparisons > 1:
        details += f", adjusted for {comparison.n_comparisons} comparisons"
    return text.format(_points(difference, digits), details)


def _outlook(comparison: Comparison) -> str:
    needed = comparison.seeds_needed
    if needed is None:
        return ""
    # More than two digits would say more than a spread known from few seeds can.
    unit = 10 ** max(0, floor(log10(needed)) - 1)
    return f"; about {-(-needed // unit) * unit:,} seeds would tell"


def _left_out(confirmation: Confirmation, arm: Arm) -> str:
    """Says which of an arm's runs do not count, if any."""
    runs = confirmation.runs_of(arm.arm)
    n_failed = sum(run.state == "FAILED" for run in runs)
    n_unfinished = _n_unfinished(confirmation, arm)
    parts = [
        f"{count} of {len(confirmation.seeds)} runs of {arm.title} {what}"
        for count, what in ((n_failed, "failed"), (n_unfinished, "unfinished"))
        if count
    ]
    return ", ".join(parts)


def _n_unfinished(confirmation: Confirmation, arm: Arm) -> int:
    """With how many of the confirmation's seeds an arm was not trained to the end."""
    ended = [run for run in confirmation.runs_of(arm.arm) if run.state != "RUNNING"]
    return len(confirmation.seeds) - len(ended)


def _points(fraction: float, digits: int) -> str:
    """Returns a fraction in percentage points; never a negative zero."""
    return f"{round(100 * fraction, digits) + 0.0:.{digits}f}"
