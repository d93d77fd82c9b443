from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.comparison import compare_arms
from analysis.confirmation import Confirmation, RunEpoch
from analysis.verdict import describe_comparison, describe_verdict

Maker = Callable[..., Confirmation]


def by_seed(*accuracies: float | None) -> dict[int, float | None]:
    return dict(enumerate(accuracies, start=1001))


BASE = by_seed(0.992, 0.992, 0.992, 0.992)


@pytest.mark.parametrize(
    ("finalist", "verdict"),
    [
        (
            # Differences 20, 21, 22, 21: sd 0.8165; half: 3.182446 · 0.8165 / 2 = 1.2992.
            by_seed(0.9940, 0.9941, 0.9942, 0.9941),
            "beats the hand-tuned by 0.21 points (95 % interval 0.20 to 0.22, 4 seeds)",
        ),
        (
            by_seed(0.9900, 0.9899, 0.9898, 0.9899),
            "is worse than the hand-tuned by 0.21 points (95 % interval 0.20 to 0.22, 4 seeds)",
        ),
        (
            # Differences 1, 6, 2, 7: mean 4; half: 3.182446 · 2.9439 / 2 = 4.6845.
            by_seed(0.9921, 0.9926, 0.9922, 0.9927),
            "is not shown to beat the hand-tuned: difference 0.04 points "
            "(95 % interval -0.01 to 0.09, 4 seeds); about 7 seeds would tell",
        ),
        (
            # Differences 0.5, 0.6, 0.7, 0.6: half 0.129; 0.0047 to 0.0073 points.
            by_seed(0.99205, 0.99206, 0.99207, 0.99206),
            "beats the hand-tuned by 0.006 points (95 % interval 0.005 to 0.007, 4 seeds)",
        ),
        (
            by_seed(0.9940, 0.9940, 0.9940, 0.9940),
            "is not shown to beat the hand-tuned: difference 0.20 points with each of 4 seeds, "
            "and without any spread there is nothing to judge it by",
        ),
        (
            BASE,
            "is not shown to beat the hand-tuned: difference 0.00 points with each of 4 seeds, "
            "and without any spread there is nothing to judge it by",
        ),
        (
            by_seed(0.9921, 0.9919, 0.9921, 0.9919),
            "is not shown to beat the hand-tuned: difference 0.00 points "
            "(95 % interval -0.02 to 0.02, 4 seeds)",
        ),
        (
            by_seed(0.9917),
            "is not shown to beat the hand-tuned: difference -0.03 points with the one seed "
            "that has finished in both, which cannot tell it from chance",
        ),
        (
            by_seed(0.9940, None, 0.9942, None),
            # Differences 20 and 22: half: 12.7062 · √2 / √2.
            "beats the hand-tuned by 0.21 points (95 % interval 0.08 to 0.34, 2 seeds); "
            "2 of 4 runs of the finalist-1 failed",
        ),
        (
            by_seed(None, None),
            "cannot be compared with the hand-tuned: no seed has finished in both; "
            "2 of 2 runs of the finalist-1 failed",
        ),
        ({}, "cannot be compared with the hand-tuned: no seed has finished in both"),
    ],
)
def test_verdict_is_a_plain_sentence(
    make_confirmation: Maker, finalist: dict[int, float | None], verdict: str
) -> None:
    confirmation = make_confirmation({"finalist-1": finalist, "hand-tuned": BASE})
    assert describe_verdict(confirmation) == f"the finalist-1 {verdict}"


def test_several_comparisons_are_mentioned(make_confirmation: Maker) -> None:
    confirmation = make_confirmation(
        {
            "finalist-1": by_seed(0.9940, 0.9941, 0.9942, 0.9941),
            "hand-tuned": BASE,
            "lenet5": by_seed(0.989, 0.9891, 0.9894, 0.9889),
        }
    )
    hand_tuned, plain = compare_arms(confirmation)
    # Differences 50, 50, 48, 52: t is 61, against 51 for the others, so that this one is
    # held against 0.025: half is t(0.9875; 3) = 4.1765 times 1.633 / 2.
    assert describe_comparison(confirmation, plain) == (
        "beats the lenet5 by 0.50 points "
        "(95 % interval 0.47 to 0.53, 4 seeds, adjusted for 2 comparisons)"
    )
    assert describe_comparison(confirmation, hand_tuned) == (
        "beats the hand-tuned by 0.21 points "
        "(95 % interval 0.20 to 0.22, 4 seeds, adjusted for 2 comparisons)"
    )
    assert describe_verdict(confirmation) == (
        f"the finalist-1 {describe_comparison(confirmation, hand_tuned)}"
    )


def test_verdict_is_on_the_first_finalist_and_the_reference(make_confirmation: Maker) -> None:
    confirmation = make_confirmation(
        {
            "lenet5": by_seed(0.991, 0.9915),
            "finalist-2": by_seed(0.999, 0.9991),
            "finalist-1": by_seed(0.992, 0.992),
        }
    )
    assert describe_verdict(confirmation).startswith("the finalist-2 ")
    assert "the lenet5" in describe_verdict(confirmation)


def test_run_that_is_not_over_is_mentioned(make_confirmation: Maker) -> None:
    confirmation = make_confirmation(
        {
            "finalist-1": by_seed(0.9940, 0.9941, 0.9942, 0.9941),
            "hand-tuned": by_seed(0.992, 0.992, 0.992, None),
        }
    )
    confirmation.apply(RunEpoch(9.0, "hand-tuned", 1005, 1, 0.1, 0.9, 0.1, 0.9, 1.0, 1.0))
    assert describe_verdict(confirmation).endswith(
        ", 3 seeds); 1 of 5 runs of the hand-tuned failed, "
        "1 of 5 runs of the hand-tuned unfinished"
    )


def test_verdict_without_finalist_or_reference(make_confirmation: Maker) -> None:
    assert describe_verdict(make_confirmation({"hand-tuned": BASE})) == "no finalist was confirmed"
    assert describe_verdict(make_confirmation({"finalist-1": BASE})) == (
        "the finalist-1 was compared with no hand-tuned baseline"
    )


@pytest.mark.parametrize(("n_needed", "words"), [(7, "7"), (99, "99"), (101, "110")])
def test_more_seeds_are_told_with_two_digits(
    make_confirmation: Maker, n_needed: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.comparison.seeds_needed", lambda *args, **kwargs: n_needed)
    confirmation = make_confirmation(
        {"finalist-1": by_seed(0.9921, 0.9926, 0.9922, 0.9927), "hand-tuned": BASE}
    )
    assert describe_verdict(confirmation).endswith(f"; about {words} seeds would tell")


accuracies = st.none() | st.integers(0, 10_000).map(lambda n: n / 10_000)


@settings(max_examples=200, deadline=None)
@given(
    arms=st.dictionaries(
        st.sampled_from(["finalist-1", "finalist-2", "hand-tuned", "lenet5"]),
        st.dictionaries(st.integers(1, 9), accuracies),
    )
)
def test_verdict_on_anything_agrees_with_its_interval(
    make_confirmation: Maker, arms: dict[str, Any]
) -> None:
    confirmation = make_confirmation(arms)
    assert describe_verdict(confirmation)
    for comparison in compare_arms(confirmation):
        text = describe_comparison(confirmation, comparison)
        assert "nan" not in text
        assert "inf" not in text
        assert "-0.00 points" not in text
        assert text.startswith("beats ") == (comparison.outcome == "better")
        assert text.startswith("is worse than ") == (comparison.outcome == "worse")
        if comparison.p_adjusted is not None and abs(comparison.p_adjusted - 0.05) > 1e-9:
            assert (comparison.p_adjusted < 0.05) == (comparison.outcome != "open")
