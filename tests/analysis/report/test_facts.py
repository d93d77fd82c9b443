import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import yaml
from scipy import stats

from analysis.records.confirmation import Confirmation, read_confirmation
from analysis.records.ledger import Ledger, read_ledger
from analysis.records.predictions import load_predictions
from analysis.report.facts import (
    arm_rows,
    comparison_rows,
    describe_sweep,
    find_best,
    find_verdict,
    prediction_rows,
    show,
)
from analysis.results.selection import rank_trials
from analysis.results.verdict import describe_verdict
from analysis.storage.folder import Folder

MakeFolder = Callable[..., Folder]
MakeConfirmation = Callable[..., Confirmation]


def best_id(ledger: Ledger) -> int:
    return rank_trials(ledger)[0].trial.trial_id


@pytest.fixture
def ledger(search_folder: MakeFolder) -> Ledger:
    return read_ledger(search_folder(n_trials=6))


def test_describe_sweep(ledger: Ledger) -> None:
    assert describe_sweep(ledger) == (
        "lenet5 · 6 trials of 15 epochs · begun 2027-01-15 08:00 UTC"
    )


def test_verdict_of_an_unconfirmed_sweep_claims_nothing(ledger: Ledger) -> None:
    verdict = find_verdict(ledger, None)
    best = rank_trials(ledger)[0]
    assert verdict.outcome == "none"
    assert verdict.text == (
        f"Not confirmed yet. The best of 6 trials is trial {best.trial.trial_id}, "
        f"with {100 * best.score:.2f} % on the validation images."
    )
    assert "flatters" in verdict.note
    assert "not finished" not in verdict.note


def test_verdict_of_an_unfinished_search_says_so(search_folder: MakeFolder) -> None:
    ledger = read_ledger(search_folder(n_trials=6, n_running=2))
    note = find_verdict(ledger, None).note
    assert note.endswith(" The search is not finished: 4 of 6 trials have ended.")


def test_verdict_without_a_best_trial(search_folder: MakeFolder) -> None:
    ledger = read_ledger(search_folder(n_trials=3, failure_rate=1.0))
    verdict = find_verdict(ledger, None)
    assert verdict.text == "No trial has run all its epochs, so there is no best one."
    assert find_best(ledger) is None


@pytest.mark.parametrize(
    ("finalist", "plain", "outcome"),
    [
        ([0.99, 0.991, 0.992], [0.98, 0.9812, 0.9818], "better"),
        ([0.98, 0.9812, 0.9818], [0.99, 0.991, 0.992], "worse"),
        ([0.99, 0.991, 0.992], [0.992, 0.990, 0.991], "open"),
    ],
)
def test_verdict_is_the_statistics(
    ledger: Ledger,
    make_confirmation: MakeConfirmation,
    finalist: list[float],
    plain: list[float],
    outcome: str,
) -> None:
    runs = {"finalist": finalist, "plain": plain}
    confirmation = make_confirmation(
        {arm: dict(enumerate(accuracies)) for arm, accuracies in runs.items()},
        first_trial=best_id(ledger),
    )
    verdict = find_verdict(ledger, confirmation)
    assert verdict.outcome == outcome
    assert verdict.text.lower() == f"{describe_verdict(confirmation, best_id(ledger))}.".lower()
    assert verdict.text[0] == "T"


def test_verdict_on_a_search_that_went_on_is_on_its_best_trial(
    ledger: Ledger, make_confirmation: MakeConfirmation
) -> None:
    better = [0.999, 0.9991, 0.9992]
    runs = {"finalist": dict(enumerate(better)), "plain": {0: 0.98, 1: 0.9812, 2: 0.9818}}
    confirmation = make_confirmation(runs, first_trial=100)
    verdict = find_verdict(ledger, confirmation)
    assert verdict.outcome == "none"
    assert verdict.text.startswith(f"Trial {best_id(ledger)}, now the best, is not confirmed yet")
    assert not any(row.is_verdict for row in comparison_rows(ledger, confirmation))
    assert {row.role for row in arm_rows(ledger, confirmation)} == {"finalist", "baseline"}


def test_arm_rows_give_mean_interval_and_spread(
    ledger: Ledger, make_confirmation: MakeConfirmation
) -> None:
    confirmation = make_confirmation(
        {
            "finalist": {1: 0.99, 2: 0.991, 3: 0.992},
            "plain": {1: 0.98, 2: None},
            "mlp": {1: None},
        },
        first_trial=best_id(ledger),
    )
    finalist, plain, mlp = arm_rows(ledger, confirmation)
    # 4.302653 × 0.1 / √3 = 0.248.
    assert finalist.interval == "98.85 to 99.35"
    assert (finalist.seeds, finalist.mean, finalist.sd) == ("3", "99.10", "0.100")
    assert (plain.role, plain.seeds, plain.mean) == ("reference", "1 of 3", "98.00")
    assert (plain.interval, plain.sd) == ("–", "–")
    assert (mlp.role, mlp.seeds, mlp.mean) == ("baseline", "0 of 3", "–")


def test_comparison_rows_mark_the_verdicts(
    ledger: Ledger, make_confirmation: MakeConfirmation
) -> None:
    confirmation = make_confirmation(
        {
            "finalist-1": {1: 0.99, 2: 0.991, 3: 0.992},
            "finalist-2": {1: 0.98},
            "plain": {1: 0.98, 2: 0.982, 3: 0.9815},
            "mlp": {},
        },
        first_trial=best_id(ledger),
    )
    rows = comparison_rows(ledger, confirmation)
    assert [row.is_verdict for row in rows] == [True, False, False, False]
    assert rows[0].difference == "+0.98"
    assert rows[0].outcome == "better"
    assert rows[0].finding.startswith("beats the plain by 0.98 points")
    assert (rows[1].difference, rows[1].interval, rows[1].p) == ("–", "–", "–")
    # Never a negative zero.
    assert (rows[2].difference, rows[2].interval, rows[2].outcome) == ("+0.00", "–", "open")


def test_comparison_rows_have_the_exact_p_from_seven_seeds_on(
    ledger: Ledger, make_confirmation: MakeConfirmation
) -> None:
    runs = {
        "finalist": {seed: 0.990 + seed / 10_000 for seed in range(7)},
        "plain": dict.fromkeys(range(7), 0.98),
        "mlp": dict.fromkeys(range(6), 0.97),
    }
    rows = comparison_rows(ledger, make_confirmation(runs))
    # All seven differences have one sign: 2 of the 2^7 ways to give them signs.
    assert [row.p_exact for row in rows] == ["0.016", "–"]


def test_hand_tuned_finalist_is_the_others_reference(
    ledger: Ledger, make_confirmation: MakeConfirmation
) -> None:
    accuracies = {1: 0.99, 2: 0.991}
    names = ("finalist-1", "finalist-2", "mlp")
    confirmation = make_confirmation(dict.fromkeys(names, accuracies), first_trial=best_id(ledger))
    for name, is_reference in zip(names, (False, True, False), strict=True):
        arm = dataclasses.replace(confirmation.arms[name], reference=is_reference)
        confirmation.arms[name] = arm
    assert [row.role for row in arm_rows(ledger, confirmation)] == [
        "finalist",
        "reference",
        "baseline",
    ]
    shown = [
        (row.finalist, row.baseline, row.is_verdict)
        for row in comparison_rows(ledger, confirmation)
    ]
    assert shown == [
        ("the finalist-1", "the finalist-2", True),
        ("the finalist-1", "the mlp", False),
        ("the finalist-2", "the mlp", False),
    ]


def test_prediction_rows_are_mcnemars(confirmed_folder: MakeFolder) -> None:
    folder = confirmed_folder({"n_trials": 4}, n_seeds=2, fails=("mlp", 1001))
    confirmation = read_confirmation(folder)
    assert confirmation is not None
    first, *_, last = prediction_rows(folder, confirmation)
    assert (first.baseline, first.seed) == ("hand-tuned LeNet-5", 1001)
    assert (last.baseline, last.seed, last.p) == ("CustomMLP", 1002, "< 0.001")
    finalist = load_predictions(folder, "finalist-1", 1001)
    baseline = load_predictions(folder, "hand-tuned", 1001)
    assert finalist is not None
    assert baseline is not None
    only_first = int(np.count_nonzero(finalist.correct & ~baseline.correct))
    only_second = int(np.count_nonzero(baseline.correct & ~finalist.correct))
    assert (first.only_finalist, first.only_baseline) == (only_first, only_second)
    exact = stats.binomtest(only_first, only_first + only_second).pvalue
    assert first.p == f"{exact:.3f}"


def test_best_has_a_config_that_trains_it_alone(ledger: Ledger) -> None:
    best = find_best(ledger)
    assert best is not None
    trial = rank_trials(ledger)[0].trial
    config = yaml.safe_load(best.config)
    assert best.trial_id == trial.trial_id
    assert config["first"] == [trial.hyperparameters]
    assert (config["trials"], config["scheduler"]) == (1, "none")
    for name in ("model", "epochs", "space", "recipe", "confirm"):
        assert config[name] == ledger.config[name]


def test_best_does_not_repeat_what_is_searched(search_folder: MakeFolder) -> None:
    ledger = read_ledger(search_folder(n_trials=4, decaying=True))
    best = find_best(ledger)
    assert best is not None
    names = [name for name, _ in best.rows]
    assert len(names) == len(set(names))
    assert "learning_rate" not in yaml.safe_load(best.config)["recipe"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0123456, "0.01235"), (True, "true"), (64, "64"), ("linear", "linear"), (1e-6, "1e-06")],
)
def test_show(value: object, expected: str) -> None:
    assert show(value) == expected
