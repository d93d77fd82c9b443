"""Looking at a comparison several times: how the error is spent over the looks.

A user who adds seeds and looks again has another chance of a false verdict. So each look gets
a part of the error only (K. K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for
clinical trials", Biometrika 70, 1983). How much depends on the planned number of seeds alone,
never on a result, so that a confirmation may be cut short, completed or extended.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import exp, log

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import ndtr, ndtri

LookSize = tuple[float, int]
"""How much a look sees: its seeds as a fraction of the planned number, and the values compared."""

_PLANNED = 0.8  # of the error, until the planned number of seeds; the rest is for extensions
_FARTHEST = 9.0  # standard normal values beyond have a probability of less than 1e-18
_STEPS = 45  # of a bisection, to 1e-12
_quadrature = lru_cache(leggauss)


def error_spent(fraction: float, level: float) -> float:
    """Return how much of the error `level` is spent when `fraction` of the seeds have ended.

    Up to the planned number it is spent as O'Brien's and Fleming's bounds spend it: little by
    early looks, 80 % by the last. Each extension spends a part of the rest, which never ends.
    """
    if fraction > 1:
        return level * (1 - (1 - _PLANNED) / fraction)
    return float(4 * ndtr(ndtri(_PLANNED * level / 4) / fraction**0.5))


@lru_cache(maxsize=4096)
def nominal_levels(looks: tuple[LookSize, ...], level: float) -> tuple[float, ...]:
    """Return the level of each look's own test, so that all together err with at most `level`.

    Without a difference, the sum of the first n values is a random walk. The probability that
    it has stayed within all earlier bounds is integrated look by look (P. Armitage, C. K.
    McPherson and B. C. Rowe, "Repeated significance tests on accumulating data", J. R. Statist.
    Soc. A 132, 1969). The levels are of two-sided tests; they are used for Student's (C.
    Jennison and B. W. Turnbull, Group Sequential Methods, 1999, section 3.8). From look to look
    both numbers grow.
    """
    levels: list[float] = []
    # The sum's density within the bounds, as weights at points; at first the sum is 0.
    points, weights, n, spent = np.zeros(1), np.ones(1), 0, 0.0
    for i, (fraction, following) in enumerate(looks):
        increment, spread = error_spent(fraction, level) - spent, (following - n) ** 0.5
        low, high = 0.0, 40.0  # standard deviations
        for _ in range(_STEPS):
            bound = (low + high) / 2
            edge = bound * following**0.5
            leaving = ndtr((points - edge) / spread) + ndtr((-points - edge) / spread)
            low, high = (bound, high) if weights @ leaving > increment else (low, bound)
        levels.append(float(2 * ndtr(-high)))
        if i + 1 == len(looks):
            break
        edge = min(high, _FARTHEST) * following**0.5
        nodes, node_weights = _quadrature(2 ** int(np.clip(np.log2(6 * edge / spread), 6, 9)))
        deviations = (edge * nodes[:, None] - points) / spread
        density = np.exp(-(deviations**2) / 2) @ weights / (spread * (2 * np.pi) ** 0.5)
        points, weights = edge * nodes, edge * node_weights * density
        n, spent = following, spent + increment
    return tuple(levels)


def sequential_p(looks: Sequence[LookSize], p: Sequence[float]) -> float:
    """Return the smallest level at which one of the looks would have decided.

    It is at most a level exactly if some look's `p`, of its own test, is at most that look's
    nominal level. It holds for all looks together, as a p value does for one test.
    """
    from scipy.optimize import brentq  # slow to import

    smallest = 1.0
    for k, own in enumerate(p, start=1):
        if own == 0:
            return 0.0

        def excess(log_level: float, k: int = k, own: float = own) -> float:
            nominal = nominal_levels(tuple(looks[:k]), exp(log_level))[-1]
            return log(max(nominal, 1e-300)) - log(own)

        # A nominal level is never above the error of all looks.
        if excess(log(smallest)) > 0:
            smallest = exp(brentq(excess, log(own), log(smallest), xtol=1e-7, rtol=1e-9))
    return smallest
