from math import sqrt

import numpy as np
import pytest
from scipy import stats

from analysis.results.comparison import (
    Comparison,
    compare_accuracies,
    compare_arms,
    summarize_arm,
)
from in_memory import by_seed, make_confirmation


def test_comparison_on_paper():
    confirmation = make_confirmation(
        {
            "finalist-1": by_seed(0.9930, 0.9932, 0.9934, 0.9936),
            "hand-tuned": by_seed(0.9920, 0.9921, 0.9922, 0.9923),
        }
    )
    (comparison,) = compare_arms(confirmation)
    # Differences 10, 11, 12, 13: sd √(5/3); half: t(0.975; 3) · sd / √4.
    half = 3.182446 * sqrt(5 / 3) / 2 / 10_000
    p = stats.t.sf(11.5 / (sqrt(5 / 3) / 2), 3) * 2
    assert comparison == Comparison(
        finalist="finalist-1",
        baseline="hand-tuned",
        seeds=(1001, 1002, 1003, 1004),
        difference=pytest.approx(0.00115),
        sd=pytest.approx(sqrt(5 / 3) / 10_000),
        interval=pytest.approx((0.00115 - half, 0.00115 + half), abs=1e-9),
        level=0.05,
        p=pytest.approx(p),
        p_adjusted=pytest.approx(p),
        p_sign_flip=None,
        n_comparisons=1,
    )
    assert comparison.outcome == "better"


def test_only_common_seeds_are_compared():
    confirmation = make_confirmation(
        {
            "finalist-1": by_seed(0.9930, None, 0.9934, 0.9940),
            "hand-tuned": by_seed(0.9920, 0.9921, 0.9921),
        }
    )
    (comparison,) = compare_arms(confirmation)
    assert comparison.seeds == (1001, 1003)
    assert comparison.difference == pytest.approx(0.00115)


def test_intervals_have_holms_levels():
    rng = np.random.default_rng(0)
    accuracies = {"finalist-1": by_seed(*rng.normal(0.993, 0.0005, 6))}
    for name, mean in (("a", 0.9929), ("b", 0.98), ("c", 0.9915)):
        accuracies[name] = by_seed(*rng.normal(mean, 0.0005, 6))
    comparisons = {c.baseline: c for c in compare_arms(make_confirmation(accuracies))}
    assert [comparisons[name].level for name in "bca"] == [0.05 / 3, 0.05 / 2, 0.05]
    assert [comparisons[name].outcome for name in "bca"] == ["better", "better", "open"]
    for name, comparison in comparisons.items():
        first = np.array(list(accuracies["finalist-1"].values()), dtype=float)
        second = np.array(list(accuracies[name].values()), dtype=float)
        expected = stats.ttest_rel(first, second).confidence_interval(1 - comparison.level)
        assert comparison.interval == pytest.approx((expected.low, expected.high))
        assert comparison.n_comparisons == 3


def test_all_finalists_share_the_error():
    confirmation = make_confirmation(
        {
            "finalist-1": by_seed(0.991, 0.992, 0.9926, 0.991),
            "finalist-2": by_seed(0.991, 0.9925, 0.992, 0.991),
            "hand-tuned": by_seed(0.991, 0.992, 0.993, 0.992),
            "lenet5": by_seed(0.992, 0.991, 0.993, 0.992),
            "mlp": by_seed(0.98, 0.97, 0.98),  # too few seeds for a test
        }
    )
    comparisons = compare_arms(confirmation)
    assert [(c.finalist, c.baseline) for c in comparisons] == [
        (f"finalist-{i}", baseline) for i in (1, 2) for baseline in ("hand-tuned", "lenet5", "mlp")
    ]
    tested = [c for c in comparisons if c.baseline != "mlp"]
    assert {(c.level, c.n_comparisons) for c in tested} == {(0.05 / 4, 4)}


@pytest.mark.parametrize("n_seeds", [0, 1, 2, 3])
def test_fewer_than_four_seeds_carry_no_interval_and_no_p(n_seeds):
    accuracies = {
        "finalist-1": by_seed(*[0.993, 0.994, 0.995][:n_seeds]),
        "hand-tuned": by_seed(*[0.99] * 5),
        "lenet5": by_seed(*[0.98] * 5),
    }
    for comparison in compare_arms(make_confirmation(accuracies)):
        assert len(comparison.seeds) == n_seeds
        assert (comparison.difference is None) == (n_seeds == 0)
        assert (comparison.interval, comparison.p, comparison.p_adjusted) == (None, None, None)
        assert comparison.outcome == "open"


def test_comparison_without_spread_shows_nothing_but_takes_its_share():
    confirmation = make_confirmation(
        {
            "finalist-1": by_seed(0.9930, 0.9932, 0.9934, 0.9936),
            "hand-tuned": by_seed(0.9920, 0.9921, 0.9922, 0.9923),
            "lenet5": by_seed(0.9900, 0.9902, 0.9904, 0.9906),
        }
    )
    hand_tuned, plain = compare_arms(confirmation)
    assert (plain.sd, plain.interval, plain.p, plain.p_adjusted) == (0.0, None, None, None)
    assert plain.outcome == "open"
    assert (hand_tuned.level, hand_tuned.outcome) == (0.025, "better")


@pytest.mark.parametrize("arms", [(), ("finalist-1",), ("hand-tuned",)])
def test_nothing_to_compare_is_no_error(arms):
    assert compare_arms(make_confirmation(dict.fromkeys(arms, by_seed(0.99, 0.98)))) == []


def test_arm_is_summarized_over_its_finished_runs():
    confirmation = make_confirmation(
        {"finalist-1": by_seed(0.990, None, 0.992, 0.994, 0.996), "hand-tuned": by_seed(None)}
    )
    summary = summarize_arm(confirmation, "finalist-1")
    assert (summary.n, summary.mean) == (4, pytest.approx(0.993))
    assert summary.interval == pytest.approx((0.98889149, 0.99710851), abs=1e-7)
    assert summarize_arm(confirmation, "hand-tuned") is None


def test_interval_of_an_accuracy_stays_between_0_and_1():
    high, low = by_seed(1.0, 0.99, 1.0, 0.98), by_seed(0.0, 0.1, 0.0, 0.02)
    confirmation = make_confirmation({"finalist-1": high, "hand-tuned": low})
    for arm, end in (("finalist-1", 1), ("hand-tuned", 0)):
        summary = summarize_arm(confirmation, arm)
        assert summary.interval[end] == end


@pytest.mark.parametrize("n_seeds", [4, 10])
def test_false_alarms_are_as_rare_as_promised(n_seeds):
    rng = np.random.default_rng(n_seeds)
    n_sweeps, n_beats, n_decided = 1_000, 0, 0
    for _ in range(n_sweeps):
        # Nothing differs but by chance; accuracies are counts of 10,000 images, and runs
        # with the same seed have something in common.
        chance = rng.normal(0.9925, 0.0004, (4, n_seeds)) + rng.normal(0, 0.0002, n_seeds)
        rounded = np.round(chance, 4)
        accuracies = {
            name: by_seed(*values.tolist())
            for name, values in zip(("finalist-1", "a", "b", "c"), rounded, strict=True)
        }
        comparisons = compare_accuracies(accuracies, ["finalist-1"], ["a", "b", "c"])
        assert len(comparisons) == 3
        outcomes = {comparison.outcome for comparison in comparisons}
        n_beats += "better" in outcomes
        n_decided += outcomes != {"open"}
    # 3 sigma above shares of 0.025 and 0.05: a false alarm in 740 seeds, and these are fixed.
    assert n_beats <= n_sweeps * 0.025 + 3 * sqrt(n_sweeps * 0.025 * 0.975)
    assert n_decided <= n_sweeps * 0.05 + 3 * sqrt(n_sweeps * 0.05 * 0.95)
    # The three share a finalist and the levels are strict, yet a test that never
    # decides would be no test.
    assert n_decided >= 0.02 * n_sweeps


def test_real_difference_is_found_with_the_seeds_that_were_said_to_be_needed():
    rng = np.random.default_rng(0)
    mean, sd, n_seeds = 0.0005, 0.0007, 18  # 18: statsmodels' TTestPower for 0.714 and 0.8
    n_sweeps, n_beats = 1_000, 0
    for _ in range(n_sweeps):
        accuracies = {
            "finalist-1": by_seed(*(0.9925 + rng.normal(mean, sd, n_seeds)).tolist()),
            "a": by_seed(*[0.9925] * n_seeds),
        }
        (comparison,) = compare_accuracies(accuracies, ["finalist-1"], ["a"])
        n_beats += comparison.outcome == "better"
    # 4 sigma about a power of 0.80 to 0.83: a false alarm in 16,000 seeds.
    assert 0.80 - 4 * sqrt(0.16 / n_sweeps) < n_beats / n_sweeps < 0.83 + 4 * sqrt(0.16 / n_sweeps)
