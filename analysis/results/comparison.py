"""Comparison of every finalist of a confirmation with every baseline, paired by seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from analysis.records.confirmation import MIN_SEEDS, Confirmation, Look
from analysis.records.predictions import load_predictions
from analysis.results.sequential import LookSize, nominal_levels, sequential_p
from analysis.results.statistics import (
    LEVEL,
    Interval,
    Summary,
    crossed_interval,
    summarize,
)
from analysis.storage.folder import Folder

Outcome = Literal["better", "worse", "open"]


@dataclass(frozen=True)
class Comparison:
    """A finalist against a baseline, at the last look; both are names of arms.

    Differences are the finalist's test accuracy minus the baseline's with the same seed, as
    fractions. A figure is None where there are too few seeds for it.

    All comparisons that are shown together share the error equally (Bonferroni), and each
    spends its share over the looks. So the intervals over seeds of all comparisons at all looks
    contain the true differences with a probability of at least 95 %; so do, by themselves, those
    over seeds and images. A finalist that is added after a look makes the shares smaller from
    then on, but does not account for what was shown before.

    Attributes:
        seeds: The seeds with which the runs of both arms were complete at the look.
        difference: The mean difference.
        level: The nominal level of the look, which is below 0.05.
        interval: Student's interval of the mean difference, of 1 - `level`: the repeated
            confidence interval of C. Jennison and B. W. Turnbull, "Interim analyses: the
            repeated confidence interval approach", J. R. Statist. Soc. B 51, 1989.
        p: Two-sided, of Student's paired test, as if it were the only one.
        outcome: What the first interval without 0 showed. It stays when seeds are added: the
            error has been spent, and a later look that contains 0 does not take back what an
            earlier one excluded. The later interval still shows what all seeds say.
        n_seeds_decided: With how many seeds that was.
        looks, p_of_looks: All looks so far, and `p` at each.
        new_images: The interval over seeds and images; see `with_new_images`.
    """

    finalist: str
    baseline: str
    seeds: tuple[int, ...]
    difference: float | None = None
    sd: float | None = None
    level: float = LEVEL
    interval: Interval | None = None
    p: float | None = None
    outcome: Outcome = "open"
    n_seeds_decided: int | None = None
    n_comparisons: int = 1
    looks: tuple[LookSize, ...] = ()
    p_of_looks: tuple[float, ...] = ()
    new_images: Interval | None = None

    @cached_property
    def p_adjusted(self) -> float | None:
        """The p value for all comparisons and looks; below 0.05 exactly if one has decided."""
        if self.p is None:
            return None
        return min(1.0, self.n_comparisons * sequential_p(self.looks, self.p_of_looks))

    @property
    def has_turned(self) -> bool:
        """Whether it was decided, but the interval of all seeds shows it no longer."""
        return self.outcome not in ("open", outcome_of(self.interval))


def outcome_of(interval: Interval | None) -> Outcome:
    """Return what an interval of a difference shows."""
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "open"
    return "better" if interval[0] > 0 else "worse"


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

    A finalist with the hand-tuned point is a baseline for the other finalists. Before the first
    look there is no comparison.
    """
    arms = confirmation.arms.values()
    finalists = [arm.arm for arm in arms if arm.role == "finalist"]
    baselines = [arm.arm for arm in arms if arm.role == "baseline" or arm.reference]
    return compare_at_looks(confirmation.looks, finalists, baselines)


def compare_at_looks(
    looks: Sequence[Look], finalists: Sequence[str], baselines: Sequence[str]
) -> list[Comparison]:
    """Compare every finalist with every baseline except itself; see `Comparison`."""
    if not looks:
        return []
    pairs = [(one, other) for one in finalists for other in baselines if one != other]
    series = [_measure(looks, *pair) for pair in pairs]
    return [
        _compare(pair, measured, len(pairs))
        if measured
        else _describe(pair, _differences(looks[-1], *pair))
        for pair, measured in zip(pairs, series, strict=True)
    ]


def with_new_images(
    comparison: Comparison, confirmation: Confirmation, folder: Folder
) -> Comparison:
    """Add the interval over seeds and images, of the same level as the one over seeds.

    It is left out if a run has no predictions, see `load_predictions`.
    """
    if comparison.interval is None:
        return comparison
    found = []
    for arm in (comparison.finalist, comparison.baseline):
        reached = confirmation.test_accuracies(arm)
        found += [load_predictions(folder, arm, seed, reached[seed]) for seed in comparison.seeds]
    correct = [predictions.correct for predictions in found if predictions is not None]
    if len(correct) < len(found) or len({row.shape for row in correct}) > 1:
        return comparison
    rows, n = np.array(correct, dtype=np.int8), len(comparison.seeds)
    interval = crossed_interval(rows[:n] - rows[n:], level=comparison.level)
    return replace(comparison, new_images=None if interval is None else _clip(interval))


Differences = dict[int, float]  # by seed


def _differences(look: Look, finalist: str, baseline: str) -> Differences:
    first, second = (look.accuracies.get(arm, {}) for arm in (finalist, baseline))
    return {seed: first[seed] - second[seed] for seed in first if seed in second}


def _measure(
    looks: Sequence[Look], finalist: str, baseline: str
) -> list[tuple[LookSize, Differences]]:
    """Return the looks that count for a comparison: those with more seeds and error to spend."""
    counting: list[tuple[LookSize, Differences]] = []
    for recorded in looks:
        differences = _differences(recorded, finalist, baseline)
        look = (recorded.n_seeds / recorded.n_planned, len(differences))
        last = counting[-1][0] if counting else (0.0, MIN_SEEDS - 1)
        if look[0] > last[0] and look[1] > last[1]:
            counting.append((look, differences))
    return counting


def _describe(pair: tuple[str, str], differences: Differences) -> Comparison:
    """Return a comparison without a test."""
    if not differences:
        return Comparison(*pair, ())
    summary = summarize(np.array(list(differences.values())))
    return Comparison(
        *pair, seeds=tuple(differences), difference=summary.mean, sd=summary.sd, p=summary.p
    )


def _compare(
    pair: tuple[str, str], counting: list[tuple[LookSize, Differences]], n_comparisons: int
) -> Comparison:
    looks = tuple(look for look, _ in counting)
    levels = nominal_levels(looks, LEVEL / n_comparisons)
    outcome: Outcome = "open"
    n_decided, p = None, []
    for (_, differences), level in zip(counting, levels, strict=True):
        summary = summarize(np.array(list(differences.values())), level=level)
        p.append(1.0 if summary.p is None else summary.p)  # no test without spread
        if outcome == "open" and (outcome := outcome_of(summary.interval)) != "open":
            n_decided = summary.n
    return replace(
        _describe(pair, counting[-1][1]),
        level=levels[-1],
        interval=summary.interval and _clip(summary.interval),
        outcome=outcome,
        n_seeds_decided=n_decided,
        n_comparisons=n_comparisons,
        looks=looks,
        p_of_looks=tuple(p),
    )


def _clip(interval: Interval) -> Interval:
    """Restrict an interval to the differences that two accuracies can have."""
    return max(interval[0], -1.0), min(interval[1], 1.0)
