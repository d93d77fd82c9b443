import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from analysis.records.ledger import DIVERGED, ConfigChanged, Ledger, read_ledger
from analysis.results.verdict import decisive_comparison, describe_verdict
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from sweep.cli.summary import print_result
from sweep.results.best import best_document

MakeSweep = Callable[..., tuple[Folder, Ledger]]


@pytest.mark.parametrize(("n_seeds", "t"), [(1, None), (3, None), (4, 3.182446)])
def test_best_has_its_confirmed_accuracy(
    n_seeds: int, t: float | None, make_sweep: MakeSweep, synthetic: ModuleType
) -> None:
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


def test_verdict_on_the_hand_tuned_point_itself_is_open(
    make_sweep: MakeSweep, synthetic: ModuleType
) -> None:
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


def test_best_is_stated_by_its_own_rule_after_the_config_has_changed(
    make_sweep: MakeSweep,
) -> None:
    folder, ledger = make_sweep(n_trials=6)
    document = best_document(folder, ledger)
    recipe = ledger.config["recipe"] | {"schedule": "linear"}
    ledger.apply(ConfigChanged(2e9, ledger.config | {"recipe": recipe}))
    assert best_document(folder, ledger) == document


def test_result_of_a_sweep_whose_new_best_trial_is_not_confirmed(
    make_sweep: MakeSweep, synthetic: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ledger = make_sweep(n_trials=8, scheduler="none", failure_rate=0)
    synthetic.write_confirmed(folder, ledger, n_seeds=6, predictions=False)
    before = best_document(folder, ledger)["trial_id"]
    ledger.trials[before].state = "FAILED"  # so that another one is the best
    document = best_document(folder, ledger)
    assert document["trial_id"] != before
    assert "confirmed" not in document
    print_result(folder, ledger, as_json=False)
    text = capsys.readouterr().out
    assert "test accuracy  not known yet" in text
    assert f"\nTrial {document['trial_id']} is the best now, but it is not confirmed yet" in text
    # As many seeds as the confirmation has already: the config asks for five.
    assert "\n       sweep confirm --seeds 6 synthetic" in text


def test_result_as_text_has_the_costs_the_failures_and_the_arms(
    make_sweep: MakeSweep, synthetic: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ledger = make_sweep(n_trials=12, failure_rate=0)
    failed = ledger.trials[3]
    failed.state, failed.reason = "FAILED", f"{DIVERGED}: training loss became nan in epoch 2"
    print_result(folder, ledger, as_json=False)
    text = capsys.readouterr().out
    assert text.startswith("best of synthetic: trial ")
    assert f"trial 3 failed: {failed.reason}" in text
    assert str(folder) in text
    assert "sweep confirm" in text
    n_epochs = sum(len(trial.epochs) for trial in ledger.trials.values())
    assert f"\nsearch 12 trials and {n_epochs} epochs in " in text
    assert f",\n       stopping {len(ledger.in_state('STOPPED'))} early saved " in text
    assert " % of the time was training and validation,\n       not counting the start" in text

    synthetic.write_confirmed(folder, ledger, n_seeds=5, predictions=False)
    print_result(folder, ledger, as_json=False)
    text = capsys.readouterr().out
    assert "mean of 5 seeds" in text
    assert "sweep confirm" not in text
    for title in ("hand-tuned LeNet-5", "plain LeNet-5", "MLP", "95 % interval"):
        assert title in text


def test_next_commands_can_be_typed_wherever_the_sweep_is(
    make_sweep: MakeSweep,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, ledger = make_sweep(n_trials=10, failure_rate=0)
    for where in (f" --storage {tmp_path}", ""):
        print_result(folder, ledger, as_json=False)
        _, _, end = capsys.readouterr().out.rpartition("\nnext ")
        commands = [re.split(r" {2,}", line.strip())[0] for line in end.splitlines()]
        expected = ["trials --top 10", "confirm", "best --json"]
        assert commands == [f"sweep {command} synthetic{where}" for command in expected]
        monkeypatch.setenv("SWEEP_STORAGE", str(tmp_path))


def test_result_of_a_renamed_folder_has_the_new_name(
    make_sweep: MakeSweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = make_sweep(n_trials=4)
    folder.path.rename(tmp_path / "renamed")
    renamed = LocalFolder(tmp_path / "renamed")
    ledger = read_ledger(renamed)
    print_result(renamed, ledger, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document == best_document(renamed, ledger)
    assert document["sweep"] == "renamed"
