from analysis.results.progress import Finish, finishes, improvements, sweep_curve
from in_memory import make_ledger


def test_finishes_are_those_of_the_trials_that_ran_all_epochs():
    curves = ([0.9, 0.95, 0.98, 0.985], [0.9, 0.9, 0.9, 0.97], [0.92, 0.96, 0.985, 0.99])
    first, lower, higher = (("COMPLETE", {}, curve) for curve in curves)
    ledger = make_ledger(first, ("STOPPED", {}, [0.8]), lower, ("FAILED", {}, []), higher)
    ended = [
        Finish(trial_id=1, score=0.985, epochs=4, seconds=8.0),
        Finish(trial_id=3, score=0.97, epochs=9, seconds=18.0),
        Finish(trial_id=5, score=0.99, epochs=13, seconds=26.0),
    ]
    assert finishes(ledger) == ended
    assert improvements(ledger) == [ended[0], ended[2]]


def test_curve_ends_with_the_sweep():
    good, better = (("COMPLETE", {}, [0.9, 0.9, 0.9, last]) for last in (0.985, 0.99))
    ledger = make_ledger(good, ("STOPPED", {}, [0.8]), better, (None, {}, [0.91, 0.94]))
    assert sweep_curve(ledger) == ([4, 9, 11], [0.985, 0.99, 0.99])
    assert sweep_curve(make_ledger((None, {}, [0.9]))) == ([], [])
