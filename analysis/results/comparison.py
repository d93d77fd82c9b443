"""Every finalist of a confirmation against every baseline, by the seeds that both have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.records.confirmation import Confirmation
from analysis.records.predictions import load_predictions
from analysis.results.statistics import (
    LEVEL,
    Interval,
    McNemar,
    Summary,
    adjust,
    mcnemar,
    paired_p,
    seeds_needed,
    sign_flip_p,
    summarize,
)
from analysis.storage.folder import Folder

Outcome = Literal["better", "worse", "open"]


@dataclass(frozen=True)
class Comparison:
    """A finalist against a baseline.

    Differences are the finalist's test accuracy less the baseline's with the same seed,
    fractions. What its number of seeds cannot carry is None.

    Attributes:
        finalist: The finalist's arm.
        baseline: The baseline's arm.
        seeds: The seeds whose runs have finished in both arms.
        difference: The mean difference.
        sd: The standard deviation of the differences.
        interval: Student's interval of the mean difference, of 1 - `level`.
        level: 0.05, or less where several comparisons share it: see `statistics.adjust`.
        p: Two-sided, of Student's paired test.
        p_adjusted: The same, adjusted for all comparisons that were made.
        p_sign_flip: Two-sided, of the exact permutation test; not adjusted.
        n_comparisons: How many comparisons the adjustment is for.
    """

    finalist: str
    baseline: str
    seeds: tuple[int, ...]
    difference: float | None = None
    sd: float | None = None
    interval: Interval | None = None
    level: float = LEVEL
    p: float | None = None
    p_adjusted: float | None = None
    p_sign_flip: float | None = None
    n_comparisons: int = 1

    @property
    def outcome(self) -> Outcome:
        """What is shown: the finalist is better, it is worse, or the question is open."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "open"
        return "better" if self.interval[0] > 0 else "worse"

    @property
    def seeds_needed(self) -> int | None:
        """With how many seeds such a difference would be seen with probability 0.8.

        None where these have sufficed, or where there is no spread to tell it from.
        """
        if self.interval is None or self.outcome != "open" or not self.difference or not self.sd:
            return None
        return seeds_needed(self.difference, self.sd, level=self.level)


def summarize_arm(confirmation: Confirmation, arm: str) -> Summary | None:
    """Returns the mean test accuracy of an arm's finished runs, if there are any.

    The interval is about training again with other seeds; it does not hold what another
    10,000 test images would change (a standard error of 0.09 points at 99.2 %).
    """
    accuracies = list(confirmation.test_accuracies(arm).values())
    return summarize(np.array(accuracies)) if accuracies else None


def compare_arms(confirmation: Confirmation) -> list[Comparison]:
    """Compares every finalist with every baseline, in the order of the arms.

    A finalist that has the hand-tuned point is a baseline to the others, too.
    """
    arms = confirmation.arms.values()
    finalists = [arm.arm for arm in arms if arm.role == "finalist"]
    baselines = [arm.arm for arm in arms if arm.role == "baseline" or arm.reference]
    accuracies = {arm: confirmation.test_accuracies(arm) for arm in confirmation.arms}
    return compare_accuracies(accuracies, finalists, baselines)


def compare_accuracies(
    accuracies: Mapping[str, Mapping[int, float]],
    finalists: Sequence[str],
    baselines: Sequence[str],
) -> list[Comparison]:
    """Compares every finalist with every baseline but itself.

    Args:
        accuracies: By arm and seed, fractions.
        finalists: Arms.
        baselines: Arms.
    """
    pairs = [(one, other) for one in finalists for other in baselines if one != other]
    measured = [_measure(accuracies, *pair) for pair in pairs]
    tested = [i for i, comparison in enumerate(measured) if len(comparison.seeds) > 1]
    # A test without spread claims nothing, but takes its share of the error all the same.
    p = np.array([1.0 if (own := measured[i].p) is None else own for i in tested])
    adjusted = adjust(p)
    for i, p_adjusted, level in zip(tested, adjusted.p, adjusted.levels, strict=True):
        measured[i] = _adjusted(
            measured[i],
            _differences(accuracies, measured[i]),
            p_adjusted=float(p_adjusted),
            level=float(level),
            n_comparisons=len(tested),
        )
    return measured


def compare_predictions(folder: Folder, comparison: Comparison) -> tuple[int, McNemar] | None:
    """Compares, image by image, the two networks of the first seed that both arms have.

    One seed only: the images are the same for all seeds, so that pooling them would count
    each of them as often as there are seeds. Unless it failed, it is the seed whose weights
    are exported.

    Returns:
        The seed and the comparison, first the finalist; None without predictions.

    Raises:
        LedgerError: If the predictions are damaged.
    """
    for seed in comparison.seeds[:1]:
        finalist = load_predictions(folder, comparison.finalist, seed)
        baseline = load_predictions(folder, comparison.baseline, seed)
        if finalist is not None and baseline is not None:
            return seed, mcnemar(finalist.correct, baseline.correct)
    return None


def _measure(
    accuracies: Mapping[str, Mapping[int, float]], finalist: str, baseline: str
) -> Comparison:
    seeds = tuple(sorted(accuracies[finalist].keys() & accuracies[baseline].keys()))
    comparison = Comparison(finalist, baseline, seeds)
    if not seeds:
        return comparison
    differences = _differences(accuracies, comparison)
    summary = summarize(differences)
    return replace(
        comparison,
        difference=summary.mean,
        sd=summary.sd,
        p=paired_p(differences),
        p_sign_flip=sign_flip_p(differences),
    )


def _adjusted(
    comparison: Comparison,
    differences: NDArray[np.float64],
    *,
    p_adjusted: float,
    level: float,
    n_comparisons: int,
) -> Comparison:
    summary = summarize(differences, level=level)
    return replace(
        comparison,
        interval=summary.interval,
        level=level,
        p_adjusted=None if comparison.p is None else p_adjusted,
        n_comparisons=n_comparisons,
    )


def _differences(
    accuracies: Mapping[str, Mapping[int, float]], comparison: Comparison
) -> NDArray[np.float64]:
    finalist, baseline = accuracies[comparison.finalist], accuracies[comparison.baseline]
    return np.array([finalist[seed] - baseline[seed] for seed in comparison.seeds])
