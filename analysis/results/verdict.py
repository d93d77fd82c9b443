"""The verdict of a confirmation, in plain sentences."""

from math import floor, log10

from analysis.formatting import count, digits_beside_zero, points, points_interval
from analysis.hyperparameters import REGULARIZERS
from analysis.records.confirmation import MIN_SEEDS, Arm, Confirmation
from analysis.records.ledger import Ledger
from analysis.results.comparison import Comparison, compare_arms, outcome_of, with_new_images
from analysis.results.selection import best_finalist
from analysis.results.sequential import nominal_levels
from analysis.results.statistics import LEVEL, POWER, Interval, seeds_needed
from analysis.storage.folder import Folder


def describe_comparison(confirmation: Confirmation, comparison: Comparison) -> str:
    """Return the result of a comparison, from `with_new_images`, in plain sentences."""
    arms = [confirmation.arms[arm] for arm in (comparison.finalist, comparison.baseline)]
    sentences = _finding(comparison, *(arm.title for arm in arms))
    if comparison.interval is not None:
        sentences.insert(1, _on_new_images(comparison))
    sentences += filter(None, (_left_out(confirmation, arm) for arm in arms))
    sentences += _too_late(confirmation, comparison)
    return " ".join(map(_sentence, sentences))


def describe_difference(comparison: Comparison, finalist: str, baseline: str) -> str:
    """Return the result of a comparison in plain sentences, with titles for its two sides."""
    return " ".join(map(_sentence, _finding(comparison, finalist, baseline)))


def decisive_comparison(confirmation: Confirmation, finalist: Arm | None) -> Comparison | None:
    """Return the comparison that decides the verdict on a finalist: with its reference.

    None without a finalist or a reference, if the finalist is its own reference, and before
    the first look.
    """
    reference = confirmation.reference_of(finalist) if finalist else None
    if finalist is None or reference is None or finalist.differences(reference) == 0:
        return None
    pair = (finalist.arm, reference.arm)
    compared = compare_arms(confirmation)
    return next((c for c in compared if (c.finalist, c.baseline) == pair), None)


def describe_verdict(confirmation: Confirmation, trial_id: int, folder: Folder) -> str:
    """Return the verdict on the hyperparameters of the best trial, `trial_id`.

    It is about these test images and about new ones, by the predictions in the sweep's `folder`.
    """
    finalist = confirmation.finalist(trial_id)
    if finalist is None:
        confirmed = ", ".join(arm.title for arm in confirmation.in_role("finalist"))
        return f"Trial {trial_id} is the best now, but it is not confirmed yet" + (
            f" (confirmed: {confirmed})." if confirmed else "."
        )
    comparison = decisive_comparison(confirmation, finalist)
    if comparison is not None:
        text = describe_comparison(confirmation, with_new_images(comparison, confirmation, folder))
        return text + _begun_since(confirmation)
    if not confirmation.looks and confirmation.plan is not None:
        n_ended = confirmation.n_seeds_ended(confirmation.plan.arms or confirmation.arms)
        planned = confirmation.plan.next_look(0)
        if n_ended >= (planned or 0):
            ended = "all planned seeds have ended, and `sweep resume` completes it"
            return f"No verdict on {finalist.title} yet: {ended}."
        seeds = f"{n_ended} of {count(planned or 0, 'planned seed')}"
        verb = "has" if planned == 1 else "have"
        return f"No verdict on {finalist.title} yet: {seeds} {verb} ended."
    if confirmation.reference_of(finalist) is None:
        return _sentence(f"{finalist.title} was not compared with a reference")
    is_off = not any(finalist.hyperparameters.get(name) for name in REGULARIZERS)
    point = "The network without regularizers" if is_off else "The hand-tuned point"
    return (
        f"{point}, trial {trial_id}, is the best of the sweep: no other trial "
        "scored higher on the validation images."
    )


def describe_others(confirmation: Confirmation, trial_id: int) -> str:
    """Return which baselines, beside that of the verdict, a trial beats, or is worse than.

    It is one sentence, with the differences in points; "" if all are open.
    """
    if (finalist := confirmation.finalist(trial_id)) is None:
        return ""
    decisive, parts = decisive_comparison(confirmation, finalist), []
    for outcome, verb in (("better", "beats"), ("worse", "is worse than")):
        found = [
            f"{confirmation.arms[other.baseline].title} by {points(abs(other.difference))}"
            for other in compare_arms(confirmation)
            if (other.finalist, other.outcome) == (finalist.arm, outcome)
            and other.difference is not None
            and not other.has_turned
            and other != decisive
        ]
        if found:
            parts.append(f"{verb} {', '.join(found)}")
    return f"Trial {trial_id} {', and '.join(parts)} points." if parts else ""


def is_decided(ledger: Ledger, confirmation: Confirmation) -> bool:
    """Return whether more seeds cannot change the verdict on the best trial."""
    comparison = decisive_comparison(confirmation, best_finalist(ledger, confirmation))
    return comparison is None or comparison.outcome != "open"


def _finding(comparison: Comparison, finalist: str, baseline: str) -> list[str]:
    """Return sentences without their periods; the first states the difference."""
    difference, n_seeds = comparison.difference, count(len(comparison.seeds), "seed")
    if difference is None:
        return [
            f"{finalist} cannot be compared with {baseline}: no seed has finished in both arms"
        ]
    if comparison.outcome != "open":
        verb = "beats" if comparison.outcome == "better" else "is worse than"
        size, details = _figures(comparison)
        if comparison.has_turned:
            decided = count(comparison.n_seeds_decided or 0, "seed")
            turned = f"{finalist} {verb} {baseline} with {decided}, but with more seeds the"
            return [f"{turned} difference is {size} points on these images ({details})"]
        return [f"{finalist} {verb} {baseline} by {size} points on these images ({details})"]
    finding = f"no evidence that {finalist} beats {baseline}: difference "
    if comparison.interval is not None:
        size, details = _figures(comparison)
        known = f"{finding}{size} points on these images ({details})"
        return [known, *_forecast(comparison, finalist)]
    if len(comparison.seeds) < MIN_SEEDS:
        needs = f"a comparison needs at least {MIN_SEEDS} seeds"
        return [f"{finding}{points(difference)} points with {n_seeds}", needs]
    no_test = "no test is possible, because all differences are equal"
    return [f"{finding}{points(difference)} points with each of {n_seeds}", no_test]


def _sign(comparison: Comparison) -> int:
    """Return -1 if the text says by how much the finalist is worse, else 1."""
    return -1 if comparison.outcome == "worse" and not comparison.has_turned else 1


def _shown(ends: Interval, sign: int) -> Interval:
    low, high = sorted(sign * end for end in ends)
    return low, high


def _figures(comparison: Comparison) -> tuple[str, str]:
    """Return the difference, and its interval and basis, in enough digits to tell it from 0."""
    assert comparison.difference is not None
    assert comparison.interval is not None
    sign = _sign(comparison)
    ends = _shown(comparison.interval, sign)
    details = f"95 % interval {points_interval(ends)}, {count(len(comparison.seeds), 'seed')}"
    if (decided := comparison.n_seeds_decided) not in (None, len(comparison.seeds)):
        details += f", decided with {decided}"
    if comparison.n_comparisons > 1:
        details += f", allowing for {comparison.n_comparisons} comparisons and later looks"
    else:
        details += ", allowing for later looks"
    return points(sign * comparison.difference, digits_beside_zero(ends)), details


def _on_new_images(comparison: Comparison) -> str:
    if comparison.new_images is None:
        return "nothing is known about new images, because predictions are missing or do not match"
    ends = points_interval(_shown(comparison.new_images, _sign(comparison)))
    if comparison.outcome == "open" or comparison.has_turned:
        return f"on new images the interval is {ends}"
    if outcome_of(comparison.new_images) == comparison.outcome:
        return f"the same holds on new images ({ends})"
    return f"on new images this is inconclusive ({ends})"


def _forecast(comparison: Comparison, finalist: str) -> list[str]:
    """Say how many seeds would probably show the difference of an open comparison."""
    assert comparison.difference is not None
    assert comparison.sd is not None
    (fraction, n_known), error = comparison.looks[-1], LEVEL / comparison.n_comparisons

    def level(n: int) -> float:
        return nominal_levels((*comparison.looks, (fraction * n / n_known, n)), error)[-1]

    needed = seeds_needed(comparison.difference, comparison.sd, level=level, n_known=n_known)
    if needed is None:
        return []
    # A spread known from few seeds carries no more than two digits.
    unit = 10 ** max(0, floor(log10(needed)) - 1)
    seeds = f"{-(-needed // unit) * unit:,} seeds"
    what = "better" if comparison.difference > 0 else "worse"
    shown = f"{seeds} would show with probability {POWER} that {finalist} is {what}"
    return [f"if the true difference is this one, about {shown}"]


def _begun_since(confirmation: Confirmation) -> str:
    """Say how many seeds wait for the next look."""
    started = confirmation.seeds - confirmation.looks[-1].seeds
    if not started:
        return ""
    verb = "has" if len(started) == 1 else "have"
    return f" {count(len(started), 'more seed')} {verb} started and will count later."


def _left_out(confirmation: Confirmation, arm: Arm) -> str:
    """Describe which of an arm's runs do not count; empty if all count."""
    seeds = confirmation.looks[-1].seeds
    runs = [run for run in confirmation.runs_of(arm.arm) if run.seed in seeds]
    n_seeds, n_failed = len(seeds), sum(run.state == "FAILED" for run in runs)
    n_complete = sum(run.state == "COMPLETE" for run in runs)
    counts = ((n_failed, "failed"), (n_seeds - n_failed - n_complete, "unfinished"))
    return ", ".join(f"{n} of {n_seeds} runs of {arm.title} {what}" for n, what in counts if n)


def _too_late(confirmation: Confirmation, comparison: Comparison) -> list[str]:
    """Say with how many seeds of the last look both arms have finished only since."""
    seeds = confirmation.looks[-1].seeds
    for arm in (comparison.finalist, comparison.baseline):
        seeds &= confirmation.test_accuracies(arm).keys()
    n_late = len(seeds - set(comparison.seeds))
    verb = "is" if n_late == 1 else "are"
    late = (
        f"{count(n_late, 'seed')} {verb} left out, because a run finished too late for this result"
    )
    return [late] if n_late else []


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
