"""Means, intervals and tests over seeds and over images: pure functions on arrays."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, nctdtr, stdtr, stdtrit

LEVEL = 0.05
"""Significance level of intervals and verdicts."""
MIN_SEEDS = 4
"""Fewest values with an interval, a p value and a forecast."""

Interval = tuple[float, float]

# Far less than one of 10,000 images: a smaller spread comes from rounding.
_NO_SPREAD = 1e-9
_MIN_FLIPPED, _MAX_FLIPPED = 7, 32
_MAX_SEEDS = 100_000


@dataclass(frozen=True)
class Summary:
    """Mean and spread of n values.

    `sd` divides by n - 1; it is None for one value. `interval` is Student's for the mean; it
    is None for fewer than `MIN_SEEDS` values, and for equal values.
    """

    n: int
    mean: float
    sd: float | None
    interval: Interval | None

    @property
    def p(self) -> float | None:
        """Two-sided p of Student's test of the mean against 0; None without an interval."""
        if self.interval is None or self.sd is None:
            return None
        t = self.mean / (self.sd / self.n**0.5)
        return float(2 * stdtr(self.n - 1, -abs(t)))


@dataclass(frozen=True)
class McNemar:
    """McNemar's test: the number of images that only one of two networks classifies correctly."""

    only_first: int
    only_second: int
    p: float


def summarize(values: NDArray[np.float64], *, level: float = LEVEL) -> Summary:
    """Return mean, standard deviation and interval of `values`, float64 [n], n from 1.

    The interval contains the true mean with probability 1 - `level` if the values are
    normally distributed (Student, "The probable error of a mean", Biometrika 6, 1908).
    """
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Summary(n, mean, None, None)
    sd = float(np.std(values, ddof=1))
    if sd < _NO_SPREAD:
        sd = 0.0
    if n < MIN_SEEDS or sd == 0:
        return Summary(n, mean, sd, None)
    half = float(-stdtrit(n - 1, level / 2)) * sd / n**0.5
    return Summary(n, mean, sd, (mean - half, mean + half))


def sign_flip_p(differences: NDArray[np.float64]) -> float | None:
    """Return the exact two-sided p of the paired permutation test, differences float64 [n].

    Of all 2^n assignments of signs, it is the fraction whose sum is at least
    as far from 0 as the observed one (R. A. Fisher, The Design of Experiments, 1935, section
    21). It assumes no distribution. None for n under 7, where it is never much below 0.05,
    and above 32, where there are too many assignments.

    The sums of one half are looked up among those of the other half, in about 2^(n/2) steps
    (E. Horowitz and S. Sahni, "Computing partitions with applications to the knapsack
    problem", J. ACM 21, 1974).
    """
    n = len(differences)
    if not _MIN_FLIPPED <= n <= _MAX_FLIPPED:
        return None
    # Sums that differ by rounding only count as equal.
    bound = abs(float(np.sum(differences))) - 1e-9 * float(np.sum(np.abs(differences)))
    if bound <= 0:
        return 1.0
    first = _signed_sums(differences[: n // 2])
    second = np.sort(_signed_sums(differences[n // 2 :]))
    above = len(second) - np.searchsorted(second, bound - first, side="left")
    below = np.searchsorted(second, -bound - first, side="right")
    return float(np.sum(above + below)) / 2.0**n


def adjust(
    p: NDArray[np.float64], *, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Adjust p values so that the chance of any false alarm is at most `level`.

    The k-th smallest p is compared with level / (m - k + 1). From the first one above it on,
    all are compared with the level of that one (S. Holm, "A simple sequentially rejective
    multiple test procedure", Scand. J. Statist. 6, 1979).

    An interval of 1 minus that level agrees with Holm's decision by construction, and
    contains the plain interval of 1 - `level`. Bonferroni's intervals would also cover
    jointly, but they disagree with Holm's p.

    Args:
        p: The p values of m tests, float64 [m].
        level: The accepted probability of a false alarm.

    Returns:
        The adjusted p values, float64 [m], and the level that each test is compared with,
        float64 [m].
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
    return adjusted, levels


def seeds_needed(
    mean: float, sd: float, *, level: float = LEVEL, power: float = 0.8
) -> int | None:
    """Return the number of seeds needed to detect a true difference `mean`.

    It is the smallest n, at least `MIN_SEEDS`, for which Student's paired test at `level`
    detects the difference with probability `power`, if the differences have the standard
    deviation `sd`: t is then noncentral with mean √n / sd (J. Cohen, Statistical Power
    Analysis, 2nd ed., 1988, chapter 2). None without spread, or if 100,000 do not suffice.
    """
    if sd < _NO_SPREAD:
        return None
    effect = abs(mean) / sd
    candidates = range(MIN_SEEDS, _MAX_SEEDS + 1)
    index = bisect_left(candidates, power, key=lambda n: _power(effect, n, level))
    return candidates[index] if index < len(candidates) else None


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Compare two networks by the images that each classifies correctly, bool [n] each.

    The exact two-sided test: if both are equally good, each is right equally often where they
    disagree (Q. McNemar, "Note on the sampling error of the difference between correlated
    proportions or percentages", Psychometrika 12, 1947). It is about these two networks, not
    about others trained with the same hyperparameters.
    """
    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(second & ~first))
    fewer, both = min(only_first, only_second), only_first + only_second
    p = min(1.0, 2 * float(bdtr(fewer, both, 0.5))) if both else 1.0
    return McNemar(only_first, only_second, p)


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of `values` with all signs, float64 [2^n]."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums - value, sums + value))
    return sums


def _power(effect: float, n: int, level: float) -> float:
    critical = float(-stdtrit(n - 1, level / 2))
    shift = effect * n**0.5
    # SciPy returns nan for a tail that is too thin to compute.
    right, wrong = np.nan_to_num(nctdtr(n - 1, shift, [critical, -critical]))
    return 1 - float(right) + float(wrong)
