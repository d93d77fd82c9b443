import pytest

import synthetic
from analysis.results.verdict import decisive_comparison, describe_verdict
from sweep.results.best import best_document


@pytest.mark.parametrize(("n_seeds", "t"), [(1, None), (3, None), (4, 3.182446)])
def test_best_has_its_confirmed_accuracy(n_seeds, t, make_sweep):
    folder, ledger = make_sweep(n_trials=12)
    assert "confirmed" not in best_document(folder, ledger)
    confirmation = synthetic.write_confirmed(folder, ledger, n_seeds, predictions=False)
    confirmed = best_document(folder, ledger)["confirmed"]
    measured = {"test_accuracy_mean", "test_accuracy_ci95", "n_seeds"}
    assert set(confirmed) == {*measured, "verdict", "baselines"}
    finalist = confirmation.in_role("finalist")[0]
    verdict, arm = confirmed["verdict"], finalist.arm
    comparison = decisive_comparison(confirmation, finalist)
    assert comparison
    assert verdict == {
        "outcome": comparison.outcome,
        "text": describe_verdict(confirmation, finalist.trial_id or 0, folder),
        "baseline": comparison.baseline,
        "difference": comparison.difference,
        "ci95": comparison.interval,
        "ci95_new_images": None,
        "p": comparison.p_adjusted,
    }
    assert (verdict["ci95"] is None) == (verdict["p"] is None) == (n_seeds < 4)
    accuracies = list(confirmation.test_accuracies(arm).values())
    mean = sum(accuracies) / n_seeds
    assert confirmed["test_accuracy_mean"] == pytest.approx(mean)
    assert confirmed["n_seeds"] == n_seeds
    if t is not None:  # Student's 97.5 % point with three degrees of freedom
        sd = (sum((accuracy - mean) ** 2 for accuracy in accuracies) / 3) ** 0.5
        interval = (mean - t * sd / 2, mean + t * sd / 2)
        assert confirmed["test_accuracy_ci95"] == pytest.approx(interval)
    else:
        assert confirmed["test_accuracy_ci95"] is None


def test_verdict_on_the_hand_tuned_point_itself_is_open(make_sweep):
    folder, ledger = make_sweep(n_trials=1, scheduler="none", failure_rate=0)
    assert best_document(folder, ledger)["origin"] == "initial"
    synthetic.write_confirmed(folder, ledger, 4, predictions=False)
    verdict = best_document(folder, ledger)["confirmed"]["verdict"]
    assert verdict.pop("text").startswith("The hand-tuned point, trial 1, is the best")
    assert verdict == {
        "outcome": "open",
        "baseline": None,
        "difference": None,
        "ci95": None,
        "ci95_new_images": None,
        "p": None,
    }
