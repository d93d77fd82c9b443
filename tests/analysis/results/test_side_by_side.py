import itertools

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.stats import binomtest

from analysis.records.confirmation import Look, LookTaken, Plan
from analysis.records.dataset import DataRecord
from analysis.records.seeds import confirmation_seeds
from analysis.results.comparison import compare_at_looks
from analysis.results.side_by_side import Contender, compare_sweeps
from in_memory import apply, by_seed, make_confirmation, make_ledger

HIGH = by_seed(0.994, 0.9945, 0.9938, 0.9943, 0.9941)
LOW = by_seed(0.991, 0.9912, 0.9911, 0.9908, 0.9911)


def contender(name: str, accuracies: dict[int, float] | None, **config: object) -> Contender:
    ledger = make_ledger(("COMPLETE", {}, [0.9, 0.9, 0.9, 0.95]), **config)
    data = DataRecord(fingerprint=str(config.get("dataset", "mnist")))
    ledger.created = replace(ledger.created, name=name, data=data)
    if accuracies is None:
        return Contender(ledger, None)
    tuned = dict(zip(accuracies, itertools.cycle(LOW.values()), strict=False))
    return Contender(ledger, make_confirmation({"finalist": accuracies, "tuned": tuned}))


def test_best_trials_are_compared_with_the_first_sweeps_by_seed():
    one_less = dict(list(HIGH.items())[:4])
    first = contender("a", LOW)  # its config has no dataset, as in version 0.1.0
    others = contender("b", HIGH, dataset="mnist"), contender("c", one_less)
    against_b, against_c = compare_sweeps([first, *others])
    look = Look(4, 4, frozenset(HIGH), {"a": LOW, "b": HIGH, "c": one_less})
    expected = compare_at_looks([look], ["b", "c"], ["a"])
    assert [against_b.comparison, against_c.comparison] == expected
    assert (against_b.sweep, against_b.baseline, against_b.reason) == ("b", "a", None)
    assert against_b.comparison is not None
    assert against_b.comparison.outcome == "better"
    assert [len(c.seeds) for c in expected] == [5, 4]


def test_comparison_allows_for_the_looks_at_both_sweeps():
    some = dict(list(HIGH.items())[:4])
    others = contender("a", LOW), contender("b", HIGH)
    for other in others:
        assert other.confirmation is not None
        all_runs = dict(other.confirmation.runs)
        other.confirmation.runs = {key: all_runs[key] for key in all_runs if key[1] in some}
        apply(other.confirmation, Plan(1.0, 1, 4, None), LookTaken(1.0, 4, 4))
        other.confirmation.runs = all_runs
    at_four = Look(4, 4, frozenset(some), {"a": LOW, "b": some})
    assert [d.comparison for d in compare_sweeps(others)] == compare_at_looks(
        [at_four], ["b"], ["a"]
    )
    for other in others:
        assert other.confirmation is not None
        other.confirmation.apply(LookTaken(1.0, 5, 4))
    at_five = Look(5, 4, frozenset(HIGH), {"a": LOW, "b": HIGH})
    (found,) = compare_sweeps(others)
    assert [found.comparison] == compare_at_looks([at_four, at_five], ["b"], ["a"])
    assert found.comparison is not None
    assert len(found.comparison.looks) == 2


def test_sweeps_without_a_common_seed_are_compared_in_the_order_of_their_seeds():
    names = {seed: seed + 100 for seed in HIGH}
    shifted = {names[seed]: accuracy for seed, accuracy in HIGH.items()}
    first, same = contender("a", LOW), contender("b", HIGH)
    (paired,), (unpaired,) = (compare_sweeps([first, c]) for c in (same, contender("b", shifted)))
    assert unpaired.comparison == paired.comparison
    assert (paired.is_paired, unpaired.is_paired) == (True, False)
    # Beside a sweep that shares the seeds, neither changes the other.
    both = compare_sweeps([first, same, contender("c", shifted)])
    assert [difference.is_paired for difference in both] == [True, False]
    found = [difference.comparison for difference in both]
    assert all(c is not None and c.n_comparisons == 2 for c in found)
    assert len({c.interval for c in found if c is not None}) == 1


def test_independent_runs_keep_their_pairs_and_the_error_is_5_percent_over_several_looks():
    """Of two equally good configurations, in sweeps with other seeds and other spreads."""
    rng, n_false, n_sweeps, numbers = np.random.default_rng(0), 0, 600, (5, 10, 15)
    for _ in range(n_sweeps):
        sweeps = []
        for name, sweep_seed, spread in (("a", 0, 0.0002), ("b", 1, 0.0008)):
            seeds = confirmation_seeds(sweep_seed, numbers[-1])
            accuracies = dict(zip(seeds, rng.normal(0.99, spread, len(seeds)), strict=True))
            sweeps.append(contender(name, accuracies, seed=sweep_seed))
            confirmation = sweeps[-1].confirmation
            assert confirmation is not None
            all_runs = dict(confirmation.runs)
            confirmation.apply(Plan(1.0, 1, numbers[0], None))
            for n in numbers:
                begun = {key: run for key, run in all_runs.items() if key[1] in seeds[:n]}
                confirmation.runs = begun
                confirmation.apply(LookTaken(1.0, n, numbers[0]))
        (found,) = compare_sweeps(sweeps)
        assert found.comparison is not None
        assert [n for _, n in found.comparison.looks] == [*numbers]
        n_false += found.comparison.outcome != "open"
    assert binomtest(n_false, n_sweeps, 0.05, alternative="greater").pvalue > 0.001, n_false


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (contender("b", None), "the best trial of b is not confirmed"),
        (contender("b", HIGH, dataset="kmnist"), "their datasets differ"),
    ],
)
def test_sweeps_that_cannot_be_compared_say_why(other, reason):
    (difference,) = compare_sweeps([contender("a", LOW), other])
    assert difference.comparison is None
    assert str(difference.reason).startswith(reason)
