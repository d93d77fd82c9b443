"""Comparison of every finalist of a confirmation with every baseline, paired by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from analysis.records.confirmation import Confirmation
from analysis.results.statistics import (
    LEVEL,
    MIN_SEEDS,
    Interval,
    Summary,
    adjust,
    sign_flip_p,
    summarize,
)


@dataclass(frozen=True)
class Comparison:
    """A finalist against a baseline; both are names of arms.

    Differences are the finalist's test accuracy minus the baseline's with the same seed, as
    fractions. A figure is None where there are too few seeds for it.

    Attributes:
        seeds: The seeds whose runs have finished in both arms.
        difference: The mean difference.
        sd: The standard deviation of the differences.
        interval: Student's interval of the mean difference, of 1 - `level`.
        level: 0.05, or less where several comparisons share it: see `statistics.adjust`.
        p: Two-sided, of Student's paired test.
        p_adjusted: The same, adjusted for all comparisons.
        p_sign_flip: Two-sided, of the exact permutation test; not adjusted.
        n_comparisons: The number of comparisons that the adjustment is for.
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
    def outcome(self) -> Literal["better", "worse", "open"]:
        """Whether the interval shows that the finalist is better, that it is worse, or neither."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "open"
        return "better" if self.interval[0] > 0 else "worse"


def summarize_arm(confirmation: Confirmation, arm: str) -> Summary | None:
    """Return the mean test accuracy of an arm's finished runs, None if there is none.

    The interval, clipped to [0, 1], covers training with other seeds. It does not cover other
    test images (with 10,000 of them, a standard error of 0.09 points at 99.2 %).
    """
    accuracies = list(confirmation.test_accuracies(arm).values())
    if not accuracies:
        return None
    summary = summarize(np.array(accuracies))
    if summary.interval is None:
        return summary
    low, high = summary.interval
    return replace(summary, interval=(max(low, 0.0), min(high, 1.0)))


def compare_arms(confirmation: Confirmation) -> list[Comparison]:
    """Compare every finalist with every baseline, in the order of the arms.

    A finalist with the hand-tuned point is a baseline for the other finalists.
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
    """Compare every finalist with every baseline except itself.

    `accuracies` are fractions by arm and seed.
    """
    pairs = [(one, other) for one in finalists for other in baselines if one != other]
    measured = [_measure(accuracies, *pair) for pair in pairs]
    tested = [i for i, comparison in enumerate(measured) if len(comparison.seeds) >= MIN_SEEDS]
    # Without spread there is no p, but the comparison still counts as one of the tests.
    p = np.array([1.0 if (own := measured[i].p) is None else own for i in tested])
    for i, p_adjusted, level in zip(tested, *adjust(p), strict=True):
        measured[i] = replace(
            _measure(accuracies, *pairs[i], level=float(level)),
            p_adjusted=None if measured[i].p is None else float(p_adjusted),
            n_comparisons=len(tested),
        )
    return measured


def _measure(
    accuracies: Mapping[str, Mapping[int, float]],
    finalist: str,
    baseline: str,
    *,
    level: float = LEVEL,
) -> Comparison:
    first, second = accuracies[finalist], accuracies[baseline]
    seeds = tuple(seed for seed in first if seed in second)
    if not seeds:
        return Comparison(finalist, baseline, seeds)
    differences = np.array([first[seed] - second[seed] for seed in seeds])
    summary = summarize(differences, level=level)
    return Comparison(
        finalist,
        baseline,
        seeds,
        difference=summary.mean,
        sd=summary.sd,
        interval=summary.interval,
        level=level,
        p=summary.p,
        p_sign_flip=sign_flip_p(differences),
    )
