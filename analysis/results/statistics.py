"""Means, intervals and tests over seeds and over images: pure functions on arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, nctdtr, stdtr, stdtrit

LEVEL = 0.05
"""The error that intervals and verdicts allow themselves."""

Interval = tuple[float, float]

# Far below what one of 10,000 images is worth: what is less is rounding, not spread.
_NO_SPREAD = 1e-9
_MIN_FLIPPED, _MAX_FLIPPED = 7, 32
_MAX_SEEDS = 100_000


@dataclass(frozen=True)
class Summary:
    """What n values have in common.

    `sd` divides by n - 1. `interval` is Student's for the mean. Both are None for one
    value; the interval also where all are equal, which is chance and no certainty.
    """

    n: int
    mean: float
    sd: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Adjusted:
    """Holm's step-down procedure applied to m tests.

    Attributes:
        p: The adjusted p values, float64 [m].
        levels: The level that each test was held against, float64 [m]. A test is
            significant exactly where its own p is not above it, and so exactly where its
            interval of 1 - level leaves 0 out.
    """

    p: NDArray[np.float64]
    levels: NDArray[np.float64]


@dataclass(frozen=True)
class McNemar:
    """How two networks disagree: images that only the first, or only the second, knows."""

    only_first: int
    only_second: int
    p: float


def summarize(values: NDArray[np.float64], *, level: float = LEVEL) -> Summary:
    """Returns mean, standard deviation and interval of `values`, float64 [n], n from 1.

    The interval covers the mean of all values that might have been with probability
    1 - `level`, if they are normally distributed (Student, "The probable error of a
    mean", Biometrika 6, 1908).

    Raises:
        ValueError: If there is no value.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no values to summarize")
    mean = float(np.mean(values))
    if n == 1:
        return Summary(n, mean, None, None)
    sd = float(np.std(values, ddof=1))
    if sd < _NO_SPREAD:
        return Summary(n, mean, 0.0, None)
    half = float(-stdtrit(n - 1, level / 2)) * sd / n**0.5
    return Summary(n, mean, sd, (mean - half, mean + half))


def paired_p(differences: NDArray[np.float64]) -> float | None:
    """Returns the two-sided p of Student's paired test, from differences, float64 [n].

    None for less than two differences, and where all of them are equal.
    """
    if len(differences) == 0:
        return None
    summary = summarize(differences)
    if not summary.sd:
        return None
    t = summary.mean / (summary.sd / summary.n**0.5)
    return float(2 * stdtr(summary.n - 1, -abs(t)))


def sign_flip_p(differences: NDArray[np.float64]) -> float | None:
    """Returns the exact two-sided p of the paired permutation test, differences float64 [n].

    It is the part of all 2^n ways to give the differences signs whose sum is as far from
    0 as the one seen (R. A. Fisher, The Design of Experiments, 1935, section 21). It
    supposes no distribution. None for n under 7, where it cannot fall far below 0.05 (at
    n = 6 not below 0.031), and above 32, where they are too many to count.

    All sums of one half are looked up among those of the other (E. Horowitz and S. Sahni,
    "Computing partitions with applications to the knapsack problem", J. ACM 21, 1974), so
    that it takes some 2^(n/2) steps.
    """
    n = len(differences)
    if not _MIN_FLIPPED <= n <= _MAX_FLIPPED:
        return None
    # Sums that are equal but for rounding count as equal.
    bound = abs(float(np.sum(differences))) - 1e-9 * float(np.sum(np.abs(differences)))
    if bound <= 0:
        return 1.0
    first = _signed_sums(differences[: n // 2])
    second = np.sort(_signed_sums(differences[n // 2 :]))
    above = len(second) - np.searchsorted(second, bound - first, side="left")
    below = np.searchsorted(second, -bound - first, side="right")
    return float(np.sum(above + below)) / 2.0**n


def adjust(p: NDArray[np.float64], *, level: float = LEVEL) -> Adjusted:
    """Adjusts p values, float64 [m], for at most `level` as the chance of any false alarm.

    The k-th smallest p is held against level / (m - k + 1); from the first that fails on,
    all are held against the level at which that one failed (S. Holm, "A simple
    sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979).

    An interval of 1 minus that level agrees with Holm's decision by construction, and
    contains the plain interval of 1 - `level`, so that each alone covers at least as
    often. Bonferroni's intervals would also cover jointly, but disagree with Holm's p.
    """
    m = len(p)
    order = np.argsort(p, kind="stable")
    remaining = m - np.arange(m)
    held = level / remaining
    failed = np.flatnonzero(p[order] > held)
    if len(failed):
        held[failed[0] :] = held[failed[0]]
    adjusted, levels = np.empty(m), np.empty(m)
    adjusted[order] = np.minimum(np.maximum.accumulate(remaining * p[order]), 1)
    levels[order] = held
    return Adjusted(adjusted, levels)


def seeds_needed(
    mean: float, sd: float, *, level: float = LEVEL, power: float = 0.8
) -> int | None:
    """Returns the seeds with which a true difference `mean` would be seen.

    It is the smallest n for which Student's paired test at `level` finds it with
    probability `power`, if the differences have standard deviation `sd`: t is then
    noncentral with mean √n / sd (J. Cohen, Statistical Power Analysis, 2nd ed., 1988,
    chapter 2). None where there is no spread, or where 100,000 would not do.
    """
    if sd < _NO_SPREAD:
        return None
    effect = abs(mean) / sd
    low, high = 1, 2
    while _power(effect, high, level) < power:
        if high == _MAX_SEEDS:
            return None
        low, high = high, min(2 * high, _MAX_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        if _power(effect, middle, level) < power:
            low = middle
        else:
            high = middle
    return high


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Compares two networks by the images that each of them knows, bool [n] each.

    The exact two-sided test: where they disagree, either is as often right if they are
    equally good (Q. McNemar, "Note on the sampling error of the difference between
    correlated proportions or percentages", Psychometrika 12, 1947). It is about these
    two networks, not about what others with the same hyperparameters would do.
    """
    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(second & ~first))
    fewer, both = min(only_first, only_second), only_first + only_second
    p = min(1.0, 2 * float(bdtr(fewer, both, 0.5))) if both else 1.0
    return McNemar(only_first, only_second, p)


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the sums of `values` with all signs, float64 [2^n]."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums - value, sums + value))
    return sums


def _power(effect: float, n: int, level: float) -> float:
    critical = float(-stdtrit(n - 1, level / 2))
    shift = effect * n**0.5
    # Where the lower tail is too thin to be computed, SciPy says nan.
    wrong_side = float(np.nan_to_num(nctdtr(n - 1, shift, -critical)))
    return 1 - float(nctdtr(n - 1, shift, critical)) + wrong_side
