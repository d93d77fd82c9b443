"""The verdict of a confirmation, in plain sentences."""

from math import floor, log10

from analysis.formatting import count, interval, points
from analysis.records.confirmation import Arm, Confirmation
from analysis.records.ledger import Ledger
from analysis.results.comparison import Comparison, compare_arms
from analysis.results.selection import best_finalist, rank_trials
from analysis.results.statistics import MIN_SEEDS, seeds_needed


def describe_comparison(confirmation: Confirmation, comparison: Comparison) -> str:
    """Return the result of a comparison as one sentence."""
    arms = [confirmation.arms[arm] for arm in (comparison.finalist, comparison.baseline)]
    left_out = [_left_out(confirmation, arm) for arm in arms]
    finding = _finding(comparison, *(arm.title for arm in arms))
    return _sentence("; ".join([finding, *filter(None, left_out)]))


def describe_difference(comparison: Comparison, finalist: str, baseline: str) -> str:
    """Return the result of a comparison as one sentence, with titles for its two sides."""
    return _sentence(_finding(comparison, finalist, baseline))


def decisive_comparison(confirmation: Confirmation, finalist: Arm | None) -> Comparison | None:
    """Return the comparison that decides the verdict on a finalist: with its reference.

    None without a finalist or a reference, or if the finalist is its own reference.
    """
    reference = confirmation.reference_of(finalist) if finalist else None
    if finalist is None or reference is None or finalist.differences(reference) == 0:
        return None
    pair = (finalist.arm, reference.arm)
    return next(c for c in compare_arms(confirmation) if (c.finalist, c.baseline) == pair)


def describe_verdict(confirmation: Confirmation, trial_id: int) -> str:
    """Return the verdict on the hyperparameters of the best trial, `trial_id`, as one sentence."""
    finalist = confirmation.finalist(trial_id)
    if finalist is None:
        confirmed = ", ".join(arm.title for arm in confirmation.in_role("finalist"))
        return f"Trial {trial_id} is the best now, but it is not confirmed yet" + (
            f" (confirmed: {confirmed})." if confirmed else "."
        )
    comparison = decisive_comparison(confirmation, finalist)
    if comparison is not None:
        return describe_comparison(confirmation, comparison)
    if confirmation.reference_of(finalist) is None:
        return _sentence(f"{finalist.title} was not compared with a hand-tuned baseline")
    return (
        f"The hand-tuned point, trial {trial_id}, is the best of the sweep: no other trial "
        "scored higher on the validation images."
    )


def missing_step(ledger: Ledger, confirmation: Confirmation | None) -> str | None:
    """Return the `confirm` command that completes the verdict, without program and sweep.

    None if nothing is missing, or if no trial ran all its epochs.
    """
    if not rank_trials(ledger):
        return None
    if confirmation is None or not confirmation.runs:
        return "confirm"
    finalist = best_finalist(ledger, confirmation)
    n_seeds = max(len(confirmation.seeds), MIN_SEEDS)
    if finalist is not None:
        arms = filter(None, (finalist, confirmation.reference_of(finalist)))
        if all(_n_ended(confirmation, arm) >= n_seeds for arm in arms):
            return None
    planned = (ledger.config.get("confirm") or {}).get("seeds", 0)
    return f"confirm --seeds {n_seeds}" if n_seeds > planned else "confirm"


def _finding(comparison: Comparison, finalist: str, baseline: str) -> str:
    difference, n_seeds = comparison.difference, count(len(comparison.seeds), "seed")
    if difference is None:
        return f"{finalist} cannot be compared with {baseline}: no seed has finished in both arms"
    if comparison.outcome != "open":
        sign = 1 if comparison.outcome == "better" else -1
        verb = "beats" if comparison.outcome == "better" else "is worse than"
        size, details = _figures(comparison, sign)
        return f"{finalist} {verb} {baseline} by {size} points ({details})"
    finding = f"no evidence that {finalist} beats {baseline}: difference "
    if comparison.interval is not None:
        size, details = _figures(comparison)
        return f"{finding}{size} points ({details}){_forecast(comparison)}"
    if len(comparison.seeds) < MIN_SEEDS:
        needs = f"a comparison needs at least {MIN_SEEDS} seeds"
        return f"{finding}{points(difference)} points with {n_seeds}; {needs}"
    no_test = "equal differences allow no test"
    return f"{finding}{points(difference)} points with each of {n_seeds}; {no_test}"


def _figures(comparison: Comparison, sign: int = 1) -> tuple[str, str]:
    """Return the difference, and its interval with what it is based on.

    Both have as many digits as it takes to tell the interval from 0.
    """
    assert comparison.difference is not None
    assert comparison.interval is not None
    low, high = sorted(sign * end for end in comparison.interval)
    digits = 2
    while digits < 4 and comparison.outcome != "open" and round(100 * low, digits) == 0:
        digits += 1
    ends = interval((low, high), lambda end: points(end, digits))
    details = f"95 % interval {ends}, {count(len(comparison.seeds), 'seed')}"
    if comparison.n_comparisons > 1:
        details += f", adjusted for {comparison.n_comparisons} comparisons"
    return points(sign * comparison.difference, digits), details


def _forecast(comparison: Comparison) -> str:
    """Say how many seeds would probably show the difference of an open comparison."""
    assert comparison.difference is not None
    assert comparison.sd is not None
    needed = seeds_needed(comparison.difference, comparison.sd, level=comparison.level)
    if needed is None:
        return ""
    # A spread known from few seeds carries no more than two digits.
    unit = 10 ** max(0, floor(log10(needed)) - 1)
    return (
        f"; about {-(-needed // unit) * unit:,} seeds would be needed (for 80 % power, if the "
        "true difference is the observed one)"
    )


def _left_out(confirmation: Confirmation, arm: Arm) -> str:
    """Describe which of an arm's runs do not count; empty if all count."""
    n_seeds, n_ended = len(confirmation.seeds), _n_ended(confirmation, arm)
    n_failed = sum(run.state == "FAILED" for run in confirmation.runs_of(arm.arm))
    counts = ((n_failed, "failed"), (n_seeds - n_ended, "unfinished"))
    return ", ".join(f"{n} of {n_seeds} runs of {arm.title} {what}" for n, what in counts if n)


def _n_ended(confirmation: Confirmation, arm: Arm) -> int:
    return sum(run.state != "RUNNING" for run in confirmation.runs_of(arm.arm))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
