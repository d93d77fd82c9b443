from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from analysis.hyperparameters import HAND_TUNED
from analysis.records.confirmation import LookTaken, Plan
from analysis.results.comparison import Comparison, compare_arms
from analysis.results.completeness import missing_step
from analysis.results.verdict import (
    decisive_comparison,
    describe_comparison,
    describe_difference,
    describe_verdict,
)
from analysis.storage.local_folder import LocalFolder
from in_memory import apply, by_seed, make_confirmation, make_ledger, run_ended, run_epoch

EMPTY = LocalFolder(Path("empty"))  # a sweep without predictions
BASE = by_seed(0.992, 0.992, 0.992, 0.992)
OPEN = "No evidence that the finalist-1 beats the hand-tuned: difference"
UNKNOWN = "Nothing is known about new images, because predictions are missing or do not match."
FORECAST = (
    "If the true difference is this one, about {} seeds would show with probability 0.8 that the "
    "finalist-1 is better."
)


@pytest.mark.parametrize(
    ("finalist", "verdict"),
    [
        (
            # Differences 20, 21, 22, 21: sd 0.8165; half: 3.4819 · 0.8165 / 2 = 1.4215.
            by_seed(0.9940, 0.9941, 0.9942, 0.9941),
            "The finalist-1 beats the hand-tuned by 0.21 points on these images "
            f"(95 % interval 0.20 to 0.22, 4 seeds, allowing for later looks). {UNKNOWN}",
        ),
        (
            by_seed(0.9900, 0.9899, 0.9898, 0.9899),
            "The finalist-1 is worse than the hand-tuned by 0.21 points on these images "
            f"(95 % interval 0.20 to 0.22, 4 seeds, allowing for later looks). {UNKNOWN}",
        ),
        (
            # Differences 1, 6, 2, 7: mean 4; half: 3.4819 · 2.9439 / 2 = 5.1252.
            by_seed(0.9921, 0.9926, 0.9922, 0.9927),
            f"{OPEN} 0.04 points on these images (95 % interval -0.01 to 0.09, 4 seeds, "
            f"allowing for later looks). {UNKNOWN} {FORECAST.format(10)}",
        ),
        (
            by_seed(0.9919, 0.9914, 0.9918, 0.9913),
            f"{OPEN} -0.04 points on these images (95 % interval -0.09 to 0.01, 4 seeds, "
            f"allowing for later looks). {UNKNOWN} If the true difference is this one, about 10 "
            "seeds would show with probability 0.8 that the finalist-1 is worse.",
        ),
        (
            # More than two digits would claim too much.
            by_seed(0.99332, 0.99132, 0.99332, 0.99132),
            f"{OPEN} 0.03 points on these images (95 % interval -0.17 to 0.23, 4 seeds, "
            f"allowing for later looks). {UNKNOWN} {FORECAST.format(160)}",
        ),
        (
            # Differences 0.5, 0.6, 0.7, 0.6: half 0.142; 0.0046 to 0.0074 points.
            by_seed(0.99205, 0.99206, 0.99207, 0.99206),
            "The finalist-1 beats the hand-tuned by 0.006 points on these images "
            f"(95 % interval 0.005 to 0.007, 4 seeds, allowing for later looks). {UNKNOWN}",
        ),
        (
            by_seed(0.9940, 0.9940, 0.9940, 0.9940),
            f"{OPEN} 0.20 points with each of 4 seeds. "
            "No test is possible, because all differences are equal.",
        ),
        (
            by_seed(0.9921, 0.9919, 0.9921, 0.9919),
            f"{OPEN} 0.00 points on these images (95 % interval -0.02 to 0.02, 4 seeds, "
            f"allowing for later looks). {UNKNOWN}",
        ),
        (
            by_seed(0.9917),
            f"{OPEN} -0.03 points with 1 seed. A comparison needs at least 4 seeds. "
            "3 of 4 runs of the finalist-1 unfinished.",
        ),
        (
            by_seed(0.9940, None, 0.9942, None),
            f"{OPEN} 0.21 points with 2 seeds. A comparison needs at least 4 seeds. "
            "2 of 4 runs of the finalist-1 failed.",
        ),
        (
            by_seed(None, None),
            "The finalist-1 cannot be compared with the hand-tuned: no seed has finished in both "
            "arms. 2 of 4 runs of the finalist-1 failed, "
            "2 of 4 runs of the finalist-1 unfinished.",
        ),
    ],
)
def test_verdict_is_in_plain_sentences(finalist, verdict):
    confirmation = make_confirmation({"finalist-1": finalist, "hand-tuned": BASE})
    assert describe_verdict(confirmation, 1, EMPTY) == verdict


def test_several_comparisons_are_mentioned():
    confirmation = make_confirmation(
        {
            "finalist-1": by_seed(0.9940, 0.9941, 0.9942, 0.9941),
            "hand-tuned": BASE,
            "lenet5": by_seed(0.989, 0.9891, 0.9894, 0.9889),
        }
    )
    hand_tuned, plain = compare_arms(confirmation)
    # Differences 50, 50, 48, 52: half is t(0.99; 3) = 4.5407 times 1.633 / 2.
    assert describe_comparison(confirmation, plain) == (
        "The finalist-1 beats the lenet5 by 0.50 points on these images "
        "(95 % interval 0.46 to 0.54, 4 seeds, allowing for 2 comparisons and later looks). "
        f"{UNKNOWN}"
    )
    finding = describe_comparison(confirmation, hand_tuned)
    assert describe_verdict(confirmation, 1, EMPTY) == finding


def test_there_is_no_verdict_between_looks():
    confirmation = make_confirmation({"finalist-1": BASE, "hand-tuned": BASE})
    confirmation.apply(Plan(1.0, 1, 8, None))
    ledger = make_ledger(("COMPLETE", {}, [0.9]))
    assert describe_verdict(confirmation, 1, EMPTY) == (
        "No verdict on the finalist-1 yet: 4 of 8 planned seeds have ended."
    )
    assert missing_step(ledger, confirmation) == "resume"
    confirmation.apply(LookTaken(1.0, 4, 8))
    at_look = describe_verdict(confirmation, 1, EMPTY)
    confirmation.apply(run_epoch("hand-tuned", 1005, 1))
    assert describe_verdict(confirmation, 1, EMPTY) == (
        f"{at_look} 1 more seed has started and will count later."
    )


def test_one_planned_seed_has_ended():
    one = {1001: 0.99}
    confirmation = make_confirmation({"finalist-1": one, "hand-tuned": one})
    confirmation.apply(Plan(1.0, 1, 1, None))
    verdict = describe_verdict(confirmation, 1, EMPTY)
    assert "all planned seeds have ended, and `sweep resume`" in verdict


@pytest.mark.parametrize(
    ("arms", "verdict"),
    [
        (
            {"finalist-1": BASE, "finalist-2": BASE, "hand-tuned": by_seed(0.99, 0.98)},
            "Trial 3 is the best now, but it is not confirmed yet "
            "(confirmed: the finalist-1, the finalist-2).",
        ),
        ({"hand-tuned": BASE}, "Trial 3 is the best now, but it is not confirmed yet."),
        (
            dict.fromkeys(("finalist-1", "finalist-2", "finalist-3"), BASE),
            "The finalist-3 was not compared with a reference.",
        ),
    ],
)
def test_verdict_without_a_comparison(arms, verdict):
    assert describe_verdict(make_confirmation(arms), 3, EMPTY) == verdict


@pytest.mark.parametrize("is_trained_twice", [True, False])
def test_hand_tuned_point_is_not_compared_with_itself(is_trained_twice):
    confirmation = make_confirmation({"finalist-1": BASE, "hand-tuned": BASE, "mlp": BASE})
    arms = confirmation.arms
    arms["finalist-1"] = replace(arms["finalist-1"], hyperparameters=dict(HAND_TUNED))
    if is_trained_twice:
        arms["hand-tuned"] = replace(arms["hand-tuned"], hyperparameters=dict(HAND_TUNED))
    else:
        arms["finalist-1"] = replace(arms["finalist-1"], reference=True)
        del arms["hand-tuned"]
    assert describe_verdict(confirmation, 1, EMPTY).startswith(
        "The hand-tuned point, trial 1, is the best"
    )
    assert decisive_comparison(confirmation, arms["finalist-1"]) is None


def test_verdict_is_against_the_reference_in_the_finalists_recipe():
    confirmation = make_confirmation(
        {"finalist-1": BASE, "finalist-2": BASE, "own-1": BASE, "classic": BASE, "own-2": BASE}
    )
    recipes: dict[str, dict[str, Any]] = {
        "finalist-1": {"learning_rate": 0.04, "schedule": "linear", "dropout": 0.1, "shift": 0.1},
        "own-1": {"learning_rate": 0.04, "schedule": "linear", "dropout": 0.25, "shift": 0.05},
        "classic": {"learning_rate": 0.01, "schedule": "constant", "dropout": 0.25, "shift": 0.05},
        "own-2": {"learning_rate": 0.03, "schedule": "linear", "dropout": 0.25, "shift": 0.05},
        "finalist-2": {"learning_rate": 0.03, "schedule": "linear", "dropout": 0.0, "shift": 0.1},
    }
    for name, recipe in recipes.items():
        arm = replace(confirmation.arms[name], hyperparameters=recipe)
        confirmation.arms[name] = replace(arm, reference=arm.role == "baseline")
    for trial_id in (1, 2):
        finalist = confirmation.arms[f"finalist-{trial_id}"]
        assert confirmation.reference_of(finalist) == confirmation.arms[f"own-{trial_id}"]
        comparison = decisive_comparison(confirmation, finalist)
        assert (comparison.finalist, comparison.baseline) == (finalist.arm, f"own-{trial_id}")
        finding = describe_comparison(confirmation, comparison)
        assert describe_verdict(confirmation, trial_id, EMPTY) == finding
    of_mlp = replace(confirmation.arms["finalist-1"], model="mlp")
    confirmation.arms["own-2"] = replace(confirmation.arms["own-2"], model="mlp")
    assert confirmation.reference_of(of_mlp) == confirmation.arms["own-1"]


def test_unfinished_runs_are_mentioned():
    hand_tuned = by_seed(0.992, 0.992, 0.992, None)
    confirmation = make_confirmation({"finalist-1": BASE, "hand-tuned": hand_tuned})
    confirmation.apply(run_epoch("hand-tuned", 1005, 1))
    assert describe_verdict(confirmation, 1, EMPTY).endswith(
        ". 1 of 5 runs of the finalist-1 unfinished. "
        "1 of 5 runs of the hand-tuned failed, 1 of 5 runs of the hand-tuned unfinished."
    )


def test_run_that_finished_after_the_look_is_mentioned():
    hand_tuned = by_seed(None, 0.992, 0.992, 0.992, 0.992)
    finalist = by_seed(0.99, 0.991, 0.992, 0.991, 0.99)
    confirmation = make_confirmation({"finalist-1": finalist, "hand-tuned": hand_tuned})
    apply(
        confirmation,
        Plan(1.0, 1, 5, None),
        LookTaken(4.0, 5, 5),
        run_epoch("hand-tuned", 1001, 2),
        run_ended("hand-tuned", 1001),
        LookTaken(9.0, 5, 5),  # it does not count: there is no error left to spend
    )
    verdict = describe_verdict(confirmation, 1, EMPTY)
    assert ", 4 seeds," in verdict
    assert verdict.endswith(
        " 1 seed is left out, because a run finished too late for this result."
    )


accuracies = st.none() | st.integers(0, 10_000).map(lambda n: n / 10_000)


@settings(max_examples=100, deadline=None)
@given(
    arms=st.dictionaries(
        st.sampled_from(["finalist-1", "finalist-2", "hand-tuned", "lenet5"]),
        st.dictionaries(st.integers(1, 9), accuracies),
    )
)
def test_verdict_on_anything_agrees_with_its_interval(arms):
    confirmation = make_confirmation(arms)
    assert describe_verdict(confirmation, 1, EMPTY)
    for comparison in compare_arms(confirmation):
        text = describe_comparison(confirmation, comparison)
        assert not any(word in text for word in ("nan", "inf", "-0.00 points"))
        assert (" beats " in text and "evidence" not in text) == (comparison.outcome == "better")
        assert (" is worse than " in text) == (comparison.outcome == "worse")
        if comparison.p_adjusted is not None and abs(comparison.p_adjusted - 0.05) > 1e-9:
            assert (comparison.p_adjusted < 0.05) == (comparison.outcome != "open")


@pytest.mark.parametrize(
    ("outcome", "ends", "verb", "shown"),
    [
        (
            "better",
            (-0.0035, 0.0016),
            "beats",
            "-0.09 points on these images (95 % interval -0.35",
        ),
        ("better", (-0.0007, 0.0022), "beats", "0.08 points on these images (95 % interval -0.07"),
        ("worse", (-0.0016, 0.0035), "is worse than", "0.09 points on these images (95 % inter"),
        ("worse", (-0.0022, 0.0007), "is worse than", "-0.08 points on these images (95 % inter"),
    ],
)
def test_decision_that_more_seeds_no_longer_show_is_worded_so(outcome, ends, verb, shown):
    found = Comparison(
        "a",
        "b",
        tuple(range(10)),
        difference=round(sum(ends) / 2, 4),
        interval=ends,
        outcome=outcome,
        n_seeds_decided=5,
    )
    assert describe_difference(found, "A", "B").startswith(
        f"A {verb} B with 5 seeds, but with more seeds the difference is {shown}"
    )
