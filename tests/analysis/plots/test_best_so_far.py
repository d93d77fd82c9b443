from analysis.plots.best_so_far import draw_best_so_far
from analysis.records.ledger import TrialEnded
from analysis.results.progress import finishes
from in_memory import make_ledger
from shown import show


def test_of_equal_scores_the_trial_that_started_first_is_the_best():
    low, high = (("COMPLETE", {}, [0.9, 0.9, 0.9, last]) for last in (0.9, 0.95))
    ledger = make_ledger(low, high, high, low)
    # The third trial finishes before the second.
    ends = [i for i, record in enumerate(ledger.records) if isinstance(record, TrialEnded)]
    ledger.records.insert(ends[1], ledger.records.pop(ends[2]))
    assert [finish.trial_id for finish in finishes(ledger)] == [1, 3, 2, 4]
    shown = show(draw_best_so_far, ledger)
    assert "best: trial 2, 95.00 %" in shown.text
    _, best, star = shown.figure.axes[0].get_lines()
    assert best.get_xydata().tolist() == [[4, 0.9], [8, 0.95], [8, 0.95], [16, 0.95], [16, 0.95]]
    assert star.get_xydata().tolist() == [[8, 0.95]]


def test_best_so_far_says_what_is_far_below(ledger_with_a_wreck):
    shown = show(draw_best_so_far, ledger_with_a_wreck)
    assert "Not drawn: 1 trial far below." in shown.text
    assert shown.figure.axes[0].get_ylim()[0] > 0.97


def test_best_so_far_says_how_many_trials_it_draws(ledger_with_previews):
    shown = show(draw_best_so_far, ledger_with_previews)
    assert shown.legend[0] == "trials that ran all their epochs (1 of 6)"
    assert "Not drawn: 5 previews, whose epochs and time count, too." in shown.text
