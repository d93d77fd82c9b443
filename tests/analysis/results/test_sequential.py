"""The error is spent as published, and false verdicts are as rare as promised."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from analysis.records.confirmation import Look, Plan
from analysis.results import sequential
from analysis.results.comparison import compare_at_looks
from analysis.results.sequential import error_spent, nominal_levels, sequential_p
from analysis.results.statistics import crossed_interval

ADDED = ((1.0, 5), (2.0, 10), (4.0, 20))
PLANNED = tuple((k / 5, 4 * k) for k in range(1, 6))


def test_bounds_agree_with_the_published_ones(monkeypatch):
    """Lan's and DeMets's bounds for five equal looks and 5 %, of all the error."""
    monkeypatch.setattr(sequential, "_PLANNED", 1.0)
    nominal_levels.cache_clear()
    bounds = -stats.norm.ppf(np.array(nominal_levels(PLANNED, 0.05)) / 2)
    nominal_levels.cache_clear()
    assert bounds == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=1e-3)


@pytest.mark.parametrize("looks", [ADDED, PLANNED[1:4]])
def test_looks_err_as_often_as_their_normal_distribution_says(looks):
    bounds = -stats.norm.ppf(np.array(nominal_levels(looks, 0.0125)) / 2)
    n = np.array([look[1] for look in looks])
    covariance = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))
    within = stats.multivariate_normal(cov=covariance).cdf(bounds, lower_limit=-bounds)
    assert 1 - within == pytest.approx(error_spent(looks[-1][0], 0.0125), rel=0.02)
    assert 1 - within < 0.0125


def test_p_is_the_level_at_which_a_look_decides():
    p = [0.3, 0.012, 0.2]
    smallest = sequential_p(ADDED, p)
    assert sequential_p(ADDED[:2], p[:2]) == smallest
    assert nominal_levels(ADDED[:2], smallest)[-1] == pytest.approx(0.012, rel=1e-4)
    assert sequential_p(((1.0, 5),), [0.04]) == pytest.approx(0.05)
    assert sequential_p(ADDED, [1.0, 1.0, 1.0]) == 1.0


@pytest.mark.parametrize("max_seeds", [4, 5, 10, 20, 30, 1000])
def test_planned_looks_are_few_and_end_at_the_maximum(max_seeds):
    plan, n_seeds, looks = Plan(0.0, 1, 5, max_seeds), 0, []
    while (following := plan.next_look(n_seeds)) is not None:
        n_seeds = following
        looks.append(n_seeds)
    assert looks[-1] == max_seeds
    assert looks[0] >= 4
    assert len(looks) <= 6
    assert Plan(0.0, 1, 5, None).next_look(0) == 5


def _look(values, n_seeds, n_planned):
    """Return a look at the first seeds of `values`, float64 [n_arms, n]; the last: baseline."""
    arms = {str(arm): dict(enumerate(own[:n_seeds].tolist())) for arm, own in enumerate(values)}
    return Look(n_seeds, n_planned, frozenset(range(n_seeds)), arms)


def _compare(looks, n_arms):
    return compare_at_looks(looks, [str(arm) for arm in range(n_arms - 1)], [str(n_arms - 1)])


@pytest.mark.long
@pytest.mark.parametrize(
    ("sizes", "n_planned"),
    [((5, 10, 15, 20, 25, 30), 30), ((4, 8, 10), 10), ((5, 7, 10, 14, 20, 30), 5)],
)
def test_confirmations_with_several_looks_are_rarely_wrong(sizes, n_planned):
    """Planned steps, and a user who adds seeds after each open look; without a difference."""
    rng = np.random.default_rng(len(sizes) + n_planned)
    n_confirmations, n_wrong = 2_000, 0
    for _ in range(n_confirmations):
        values = 0.99 + rng.normal(0, 0.0005, (2, sizes[-1]))
        looks = [_look(values, n, n_planned) for n in sizes]
        for taken in range(1, len(sizes) + 1):
            (comparison,) = _compare(looks[:taken], 2)
            if comparison.outcome != "open":
                n_wrong += 1
                break
    # 2.3 sigma above 5 %: a false alarm in 100 seeds even if all the error were spent.
    assert n_wrong <= n_confirmations * 0.05 + 2.3 * sqrt(n_confirmations * 0.05 * 0.95)
    assert n_wrong >= n_confirmations * 0.02  # a test that never decides would be no test


@pytest.mark.long
@pytest.mark.parametrize("n_comparisons", [2, 4, 8])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_intervals_cover_together(n_comparisons, share):
    """None, half and all of the differences are real."""
    rng = np.random.default_rng(n_comparisons)
    true = np.where(np.arange(n_comparisons) < share * n_comparisons, 0.002, 0.0)
    n_confirmations, n_covered = 2_000, 0
    for _ in range(n_confirmations):
        values = 0.99 + rng.normal(0, 0.0005, (n_comparisons + 1, 6))
        values[:-1] += true[:, None]
        comparisons = _compare([_look(values, 6, 6)], n_comparisons + 1)
        n_covered += all(
            c.interval[0] <= difference <= c.interval[1]
            for c, difference in zip(comparisons, true, strict=True)
        )
    # 2.3 sigma below 95 %: a false alarm in 100 seeds at worst.
    assert n_covered >= n_confirmations * 0.95 - 2.3 * sqrt(n_confirmations * 0.05 * 0.95)


def _crossed(rng, n_seeds, n_images):
    """Return differences with effects of seeds, of images and of both: int8 [seeds, images]."""
    tendency = rng.normal(0, 0.2, n_images) + rng.normal(0, 0.03, (n_seeds, 1))
    tendency = tendency + rng.normal(0, 0.4, (n_seeds, n_images))
    return np.sign(tendency * (np.abs(tendency) > 0.6)).astype(np.int8)


def test_interval_over_seeds_and_images_agrees_with_the_pigeonhole_bootstrap():
    """A. B. Owen, "The pigeonhole bootstrap", Ann. Appl. Statist. 1, 2007: slightly too wide."""
    rng = np.random.default_rng(1)
    n_seeds, n_images = 40, 300
    differences = _crossed(rng, n_seeds, n_images)
    low, high = crossed_interval(differences, level=0.05)
    means = [
        differences[rng.integers(n_seeds, size=n_seeds)][
            :, rng.integers(n_images, size=n_images)
        ].mean()
        for _ in range(1_000)
    ]
    # The bootstrap's variance has the rest three times instead of once.
    assert 0.75 < (high - low) / 2 / (1.96 * np.std(means)) < 1.1


def test_interval_over_seeds_and_images_is_never_narrower_than_over_seeds():
    rng = np.random.default_rng(2)
    for _ in range(20):
        differences = _crossed(rng, 5, 50)
        own = stats.ttest_1samp(differences.mean(axis=1), 0).confidence_interval(0.95)
        low, high = crossed_interval(differences, level=0.05)
        assert low <= own.low + 1e-12
        assert high >= own.high - 1e-12


@pytest.mark.long
def test_interval_over_seeds_and_images_covers_the_true_difference():
    rng = np.random.default_rng(3)
    n_tables, n_covered = 1_000, 0
    for _ in range(n_tables):
        interval = crossed_interval(_crossed(rng, 5, 400), level=0.05)
        n_covered += interval is not None and interval[0] <= 0 <= interval[1]
    # 2.3 sigma below 95 %: a false alarm in 100 seeds at worst.
    assert n_covered >= n_tables * 0.95 - 2.3 * sqrt(n_tables * 0.05 * 0.95)


@pytest.mark.parametrize(
    ("n_images", "accuracies"), [(100, (0.996, 0.987)), (200, (0.998, 0.996))]
)
def test_interval_over_seeds_and_images_covers_where_few_images_differ(n_images, accuracies):
    """Without the halves of an image, these miss the true difference in 12 and 9 % of tables."""
    rng = np.random.default_rng(4)
    spread = sqrt(1 + 0.5**2 + 0.05**2)  # of images, of the rest, of seeds
    ability = [spread * stats.norm.ppf(accuracy) for accuracy in accuracies]
    n_tables, n_seeds, missed = 400, 10, 0
    for _ in range(n_tables):
        difficulty = rng.normal(0, 1, n_images)
        first, second = (
            difficulty
            + rng.normal(0, 0.5, (n_seeds, n_images))
            + rng.normal(0, 0.05, (n_seeds, 1))
            < threshold
            for threshold in ability
        )
        interval = crossed_interval(first.astype(np.int8) - second, level=0.05)
        difference = accuracies[0] - accuracies[1]
        missed += interval is not None and not interval[0] <= difference <= interval[1]
    assert missed <= n_tables * 0.05
