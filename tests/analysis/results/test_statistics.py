from math import sqrt

import numpy as np
import pytest

from analysis.results.statistics import (
    McNemar,
    Summary,
    mcnemar,
    seeds_needed,
    summarize,
)


@pytest.mark.parametrize(
    ("values", "sd"),
    [
        ([0.99], None),
        ([0.990, 0.992], pytest.approx(0.002 / sqrt(2))),
        ([0.990, 0.992, 0.994], pytest.approx(0.002)),
        ([0.9925] * 5, 0.0),
        # These differ by the rounding of floating point numbers.
        ([0.9925 - 0.9922, 0.9930 - 0.9927] * 2, 0.0),
    ],
)
def test_too_few_and_equal_values_have_no_interval_and_no_p(values, sd):
    array = np.array(values)
    summary = summarize(array)
    assert summary == Summary(len(values), pytest.approx(array.mean()), sd, None)
    assert summary.p is None


def test_mean_is_rounded_correctly():
    """NumPy's is 0.9861500000000001: 98.62 % here and 98.61 % in the list of sweeps."""
    assert summarize(np.array([0.9858, 0.9839, 0.9866, 0.9883])).mean == 0.98615


@pytest.mark.parametrize(
    ("mean", "sd", "level", "expected"),
    [
        # As `TTestPower().solve_power` of statsmodels 0.14 says, rounded up.
        (0.0001, 0.001, 0.05, 787),
        (0.0001, 0.001, 0.0125, 1119),
        (0.0003, 0.001, 0.05, 90),
        (0.0003, 0.001, 0.0125, 128),
        (0.0005, 0.001, 0.05, 34),  # Cohen's medium effect
        (0.0005, 0.001, 0.0125, 48),
        (0.001, 0.001, 0.05, 10),
        (0.001, 0.001, 0.0125, 15),
        (0.001, 0.0, 0.05, None),
        (0.0, 0.001, 0.05, None),
        (1e-9, 0.001, 0.05, None),
        (0.0089, 1.0, 0.05, 99_092),
        (0.0082, 1.0, 0.05, None),  # more than 100,000
        (10.0, 1.0, 0.05, 4),
        (1e4, 1.0, 0.05, 4),
    ],
)
def test_seeds_needed(mean, sd, level, expected):
    assert seeds_needed(mean, sd, level=lambda _: level, n_known=0) == expected
    assert seeds_needed(-mean, sd, level=lambda _: level, n_known=0) == expected


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        # 2 · (1 + 10 + 45) / 1024
        (2, 8, 112 / 1024),
        (8, 2, 112 / 1024),
        (4, 4, 1.0),
    ],
)
def test_mcnemar_on_paper(only_first, only_second, p):
    first = np.array([True] * only_first + [False] * only_second + [True] * 90 + [False] * 7)
    second = np.array([False] * only_first + [True] * only_second + [True] * 90 + [False] * 7)
    assert mcnemar(first, second) == McNemar(only_first, only_second, pytest.approx(p))
