from collections.abc import Callable

import pytest
import yaml

from analysis.confirmation import Confirmation
from analysis.folder import Folder
from analysis.ledger import Ledger, read_ledger
from analysis.report_facts import (
    arm_rows,
    comparison_rows,
    describe_sweep,
    find_best,
    find_verdict,
    show,
)
from analysis.selection import rank_trials
from analysis.verdict import describe_verdict

MakeFolder = Callable[..., Folder]
MakeConfirmation = Callable[..., Confirmation]


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
        {arm: dict(enumerate(accuracies)) for arm, accuracies in runs.items()}
    )
    verdict = find_verdict(ledger, confirmation)
    assert verdict.outcome == outcome
    assert verdict.text.lower() == f"{describe_verdict(confirmation)}.".lower()
    assert verdict.text[0] == "T"


def test_arm_rows_give_mean_interval_and_spread(make_confirmation: MakeConfirmation) -> None:
    confirmation = make_confirmation(
        {
            "finalist": {1: 0.99, 2: 0.991, 3: 0.992},
            "plain": {1: 0.98, 2: None},
            "mlp": {1: None},
        }
    )
    finalist, plain, mlp = arm_rows(confirmation)
    # 4.302653 × 0.1 / √3 = 0.248.
    assert finalist.interval == "98.85 to 99.35"
    assert (finalist.seeds, finalist.mean, finalist.sd) == ("3", "99.10", "0.100")
    assert (plain.role, plain.seeds, plain.mean) == ("reference", "1 of 2", "98.00")
    assert (plain.interval, plain.sd) == ("–", "–")
    assert (mlp.role, mlp.seeds, mlp.mean) == ("baseline", "0 of 1", "–")


def test_comparison_rows_mark_the_verdicts(make_confirmation: MakeConfirmation) -> None:
    confirmation = make_confirmation(
        {
            "finalist-1": {1: 0.99, 2: 0.991, 3: 0.992},
            "finalist-2": {1: 0.98},
            "plain": {1: 0.98, 2: 0.982, 3: 0.9815},
            "mlp": {},
        }
    )
    rows = comparison_rows(confirmation)
    assert [row.is_reference for row in rows] == [True, False, False, False]
    assert rows[0].difference == "+0.98"
    assert rows[0].outcome == "better"
    assert rows[0].finding.startswith("beats the plain by 0.98 points")
    assert (rows[1].difference, rows[1].interval, rows[1].p) == ("–", "–", "–")
    # Never a negative zero.
    assert (rows[2].difference, rows[2].interval, rows[2].outcome) == ("+0.00", "–", "open")


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
