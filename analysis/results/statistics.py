"""Means, intervals and tests over seeds and over images: pure functions on arrays."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, nctdtr, stdtr, stdtrit

from analysis.records.confirmation import MIN_SEEDS

LEVEL = 0.05
"""Significance level of intervals and verdicts."""

POWER = 0.8
"""Probability with which a forecast number of seeds shows a true difference."""

Interval = tuple[float, float]

# Far less than one of 10,000 images: a smaller spread comes from rounding.
_NO_SPREAD = 1e-9
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
    n, mean = len(values), fmean(values)
    if n == 1:
        return Summary(n, mean, None, None)
    sd = float(np.std(values, ddof=1))
    if sd < _NO_SPREAD:
        sd = 0.0
    if n < MIN_SEEDS or sd == 0:
        return Summary(n, mean, sd, None)
    half = float(-stdtrit(n - 1, level / 2)) * sd / n**0.5
    return Summary(n, mean, sd, (mean - half, mean + half))


def crossed_interval(differences: NDArray[np.int8], *, level: float = LEVEL) -> Interval | None:
    """Return an interval of a mean difference that covers other seeds and other images together.

    Seeds and images are crossed random effects: d = mean + seed + image + rest. The variance of
    the mean is that of the seeds' means plus that of the images' means, less the rest, which
    both contain (B. D. Gallas, "One-shot estimate of MRMC variance: AUC", Acad. Radiol. 13,
    2006). The half width is √(t₁² V₁ + t₂² V₂), with Student's quantile for each of the two
    sources, which covers with at least 1 - `level` (S. K. Banerjee, "On confidence interval for
    two-means problem based on separate estimates of variances and tabulated values of t-table",
    Sankhyā A 23, 1961). Unlike with one quantile for the sum (F. E. Satterthwaite, Biometrics
    Bull. 2, 1946), it is never narrower than the interval over seeds alone.

    Where few images differ, their variance is often too small by chance. So the images' variance
    includes half an image that only the first classifies correctly, and half of the opposite
    (A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched
    proportions", Statist. Med. 24, 2005).

    The differences are whether the first network classifies an image correctly, less whether the
    second does, both trained with the same seed: -1, 0 or 1, int8 [n_seeds, n_images]. None for
    fewer than `MIN_SEEDS` seeds, for one image, and without spread between seeds.
    """
    n_seeds, n_images = differences.shape
    of_seeds, of_images = differences.mean(axis=1), differences.mean(axis=0)
    if n_seeds < MIN_SEEDS or n_images < 2 or np.std(of_seeds) < _NO_SPREAD:
        return None
    mean = float(of_seeds.mean())
    rest = differences - of_seeds[:, None] - of_images + mean
    v_rest = float((rest**2).sum()) / ((n_seeds - 1) * (n_images - 1)) / differences.size
    v_seeds = float(np.var(of_seeds, ddof=1)) / n_seeds
    of_all = float(((of_images - mean) ** 2).sum()) + 1  # two halves of 1
    v_images = max(of_all / (n_images - 1) / n_images - v_rest, 0.0)
    t_seeds, t_images = stdtrit([n_seeds - 1, n_images - 1], level / 2)
    half = float(t_seeds**2 * v_seeds + t_images**2 * v_images) ** 0.5
    return mean - half, mean + half


def seeds_needed(
    mean: float, sd: float, *, level: Callable[[int], float], n_known: int
) -> int | None:
    """Return the number of seeds needed to detect a true difference `mean`.

    It is the smallest n above `n_known`, at least `MIN_SEEDS`, for which Student's paired test
    at `level(n)` detects the difference with probability `POWER`, if the differences have the
    standard deviation `sd`: t is then noncentral with mean √n / sd (J. Cohen, Statistical Power
    Analysis, 2nd ed., 1988, chapter 2). None without spread, or if 100,000 do not suffice.
    """
    if sd < _NO_SPREAD:
        return None
    effect = abs(mean) / sd
    candidates = range(max(MIN_SEEDS, n_known + 1), _MAX_SEEDS + 1)
    index = bisect_left(candidates, POWER, key=lambda n: _power(effect, n, level(n)))
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


def _power(effect: float, n: int, level: float) -> float:
    critical = float(-stdtrit(n - 1, level / 2))
    shift = effect * n**0.5
    # SciPy returns nan for a tail that is too thin to compute.
    right, wrong = np.nan_to_num(nctdtr(n - 1, shift, [critical, -critical]))
    return 1 - float(right) + float(wrong)
