"""What a confirmation shows, in plain words, and no more than its numbers carry."""

from math import floor, log10

from analysis.comparison import Comparison, compare_arms
from analysis.confirmation import Arm, Confirmation


def describe_comparison(confirmation: Confirmation, comparison: Comparison) -> str:
    """Returns what a comparison shows of its finalist, as the rest of a sentence about it."""
    finalist = confirmation.arms[comparison.finalist]
    baseline = confirmation.arms[comparison.baseline]
    shown = _finding(comparison, baseline.title)
    left_out = [_left_out(confirmation, arm) for arm in (finalist, baseline)]
    return "; ".join([shown, *(text for text in left_out if text)])


def describe_verdict(confirmation: Confirmation) -> str:
    """Returns the verdict on the hyperparameters: the first finalist against the reference."""
    finalists, reference = confirmation.in_role("finalist"), confirmation.reference
    if not finalists:
        return "no finalist was confirmed"
    if reference is None:
        return f"{finalists[0].title} was compared with no hand-tuned baseline"
    (comparison,) = (
        comparison
        for comparison in compare_arms(confirmation)
        if (comparison.finalist, comparison.baseline) == (finalists[0].arm, reference.arm)
    )
    return f"{finalists[0].title} {describe_comparison(confirmation, comparison)}"


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
    n_unfinished = len(runs) - n_failed - len(confirmation.test_accuracies(arm.arm))
    parts = [
        f"{count} of {len(runs)} runs of {arm.title} {what}"
        for count, what in ((n_failed, "failed"), (n_unfinished, "unfinished"))
        if count
    ]
    return ", ".join(parts)


def _points(fraction: float, digits: int) -> str:
    """Returns a fraction in percentage points; never a negative zero."""
    return f"{round(100 * fraction, digits) + 0.0:.{digits}f}"
