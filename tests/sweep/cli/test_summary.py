import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from analysis.records.confirmation import (
    Arm,
    ConfirmationBegun,
    ConfirmationWriter,
    RunEnded,
    RunEpoch,
    read_confirmation,
)
from analysis.records.ledger import (
    DIVERGED,
    EpochRecord,
    Ledger,
    TrialEnded,
    TrialStarted,
    read_ledger,
)
from analysis.storage.folder import Folder, LocalFolder
from sweep.cli.summary import (
    best_document,
    check_failures,
    describe_cost,
    print_result,
)
from sweep.errors import NoTrialError
from sweep.training.loop import DivergenceError

MakeSweep = Callable[..., tuple[Folder, Ledger]]


def _fail(ledger: Ledger, trial_id: int, reason: str) -> None:
    ledger.trials[trial_id].state = "FAILED"
    ledger.trials[trial_id].reason = reason


@pytest.mark.parametrize("is_there", [True, False])
def test_best_names_its_checkpoint_only_if_it_is_there(
    is_there: bool, make_sweep: MakeSweep
) -> None:
    folder, ledger = make_sweep(n_trials=6)
    trial_id = best_document(folder, ledger)["trial_id"]
    name = f"checkpoints/trial-{trial_id:04d}.pt"
    if is_there:
        folder.write(name, b"weights")
    checkpoint = best_document(folder, ledger)["checkpoint"]
    assert checkpoint == (f"{folder}/{name}" if is_there else None)


def test_best_has_its_confirmed_accuracy(make_sweep: MakeSweep, synthetic: ModuleType) -> None:
    folder, ledger = make_sweep(n_trials=8)
    assert "confirmed" not in best_document(folder, ledger)
    confirmation = synthetic.write_confirmed(
        folder, ledger, synthetic.Confirming(n_seeds=4, predictions=False)
    )
    accuracies = list(confirmation.test_accuracies("finalist-1").values())
    confirmed = best_document(folder, ledger)["confirmed"]
    assert set(confirmed) == {"test_accuracy_mean", "test_accuracy_ci95", "n_seeds"}
    mean = sum(accuracies) / 4
    assert confirmed["test_accuracy_mean"] == pytest.approx(mean)
    assert confirmed["n_seeds"] == 4
    # Student's 97.5 % point with three degrees of freedom is 3.18245.
    sd = (sum((accuracy - mean) ** 2 for accuracy in accuracies) / 3) ** 0.5
    half = 3.182446 * sd / 2
    low, high = confirmed["test_accuracy_ci95"]
    assert (low, high) == pytest.approx((mean - half, mean + half))


def test_best_confirmed_with_one_seed_has_no_interval(
    make_sweep: MakeSweep, synthetic: ModuleType
) -> None:
    folder, ledger = make_sweep(n_trials=8)
    synthetic.write_confirmed(folder, ledger, synthetic.Confirming(n_seeds=1, predictions=False))
    confirmed = best_document(folder, ledger)["confirmed"]
    assert (confirmed["test_accuracy_ci95"], confirmed["n_seeds"]) == (None, 1)


def test_best_is_not_given_another_trials_accuracy(
    make_sweep: MakeSweep, synthetic: ModuleType
) -> None:
    folder, ledger = make_sweep(n_trials=8, scheduler="none", failure_rate=0)
    synthetic.write_confirmed(folder, ledger, synthetic.Confirming(n_seeds=2, predictions=False))
    best = best_document(folder, ledger)["trial_id"]
    _fail(ledger, best, "as if the search had gone on, and another were best now")
    document = best_document(folder, ledger)
    assert document["trial_id"] != best
    assert "confirmed" not in document


def _extend(ledger: Ledger) -> int:
    """Adds a trial that is better than all others; returns its number."""
    trial_id = len(ledger.trials) + 1
    ledger.apply(TrialStarted(2e9, trial_id, 5, dict(ledger.trials[2].hyperparameters)))
    for epoch in range(1, ledger.config["epochs"] + 1):
        ledger.apply(EpochRecord(2e9, trial_id, epoch, 0.1, 0.9, 0.1, 0.9999, 1.0, 1e4))
    ledger.apply(TrialEnded(2e9, trial_id, "COMPLETE", None))
    return trial_id


def test_result_of_an_extended_sweep_is_the_new_best_trials(
    make_sweep: MakeSweep, synthetic: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ledger = make_sweep(n_trials=8, scheduler="none", failure_rate=0)
    synthetic.write_confirmed(folder, ledger, synthetic.Confirming(n_seeds=6, predictions=False))
    before = best_document(folder, ledger)["trial_id"]
    trial_id = _extend(ledger)
    print_result(folder, ledger, as_json=False)
    text = capsys.readouterr().out
    assert f"best of synthetic: trial {trial_id}, 99.99 % on the validation images" in text
    assert "test accuracy  not known yet" in text
    assert (
        f"\nTrial {trial_id} is the best now, but it is not confirmed yet "
        f"(confirmed: best of classic (trial {before})).\n"
    ) in text
    # As many seeds as the arms that there are: the config asks for five.
    assert "\n       sweep confirm --seeds 6 synthetic" in text

    arm = f"trial-{trial_id}"
    values = _first_arm(folder).hyperparameters | {"dropout": 0.1}
    new = {"arm": arm, "title": arm, "trial_id": trial_id, "hyperparameters": values}
    with ConfirmationWriter.open(folder, ConfirmationBegun(0.0, 1, "synthetic", 15)) as writer:
        writer.append(msgspec.structs.replace(_first_arm(folder), **new))
        for seed in range(1001, 1005):
            for epoch in range(1, 16):
                accuracy = 0.995 + seed % 2 / 1e4
                writer.append(RunEpoch(2e9, arm, seed, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
            writer.append(RunEnded(2e9, arm, seed, "COMPLETE", None))
    assert best_document(folder, ledger)["confirmed"]["n_seeds"] == 4
    print_result(folder, ledger, as_json=False)
    text = capsys.readouterr().out
    assert f"\n{arm.capitalize()} beats hand-tuned LeNet-5 by " in text
    assert f"2 of 6 runs of {arm} unfinished" in text
    assert "\n       sweep confirm --seeds 6 synthetic" in text


def _first_arm(folder: Folder) -> Arm:
    """The first arm of a sweep's confirmation."""
    confirmation = read_confirmation(folder)
    assert confirmation is not None
    return next(iter(confirmation.arms.values()))


def test_no_best_says_why(make_sweep: MakeSweep) -> None:
    folder, ledger = make_sweep(n_trials=2, n_running=2)
    with pytest.raises(NoTrialError, match="^no trial of synthetic has run all its epochs yet$"):
        best_document(folder, ledger)
    for trial_id in (1, 2):
        _fail(ledger, trial_id, "its process died 3 times")
    with pytest.raises(
        NoTrialError, match="2 of 2 failed, trial 1 because its process died 3 times$"
    ):
        best_document(folder, ledger)


def test_divergence_is_the_hyperparameters_fault(make_sweep: MakeSweep) -> None:
    _, ledger = make_sweep(n_trials=4, failure_rate=0, scheduler="none")
    error = DivergenceError("training loss became nan in epoch 2")
    _fail(ledger, 2, f"{DIVERGED}: {error}")
    check_failures(ledger)


def test_any_other_failure_is_not(make_sweep: MakeSweep) -> None:
    _, ledger = make_sweep(n_trials=4, failure_rate=0, scheduler="none")
    _fail(ledger, 2, f"{DIVERGED}: training loss became nan in epoch 2")
    _fail(ledger, 3, "its process died 3 times")
    with pytest.raises(
        NoTrialError,
        match="^1 trial of synthetic failed, trial 3 because its process died 3 times$",
    ):
        check_failures(ledger)
    _fail(ledger, 4, "KeyError: 'x' (traceback in failures/trial-0004.txt)")
    with pytest.raises(NoTrialError, match="^2 trials of synthetic failed, trial 3 because"):
        check_failures(ledger)


def test_cost_counts_what_was_run_and_saved(make_sweep: MakeSweep) -> None:
    _, ledger = make_sweep(n_trials=12, failure_rate=0)
    n_epochs = sum(len(trial.epochs) for trial in ledger.trials.values())
    stopped = ledger.in_state("STOPPED")
    saved = sum(15 - len(trial.epochs) for trial in stopped)
    text = describe_cost(ledger)
    assert f"12 trials and {n_epochs} epochs in " in text
    assert f"stopping {len(stopped)} early saved {saved} epochs" in text
    assert " % of the time was training" in text


def test_result_for_people_says_it_all(
    make_sweep: MakeSweep, synthetic: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ledger = make_sweep(n_trials=10, failure_rate=0)
    _fail(ledger, 3, f"{DIVERGED}: training loss became nan in epoch 2")
    print_result(folder, ledger, as_json=False)
    text = capsys.readouterr().out
    assert text.startswith("best of synthetic: trial ")
    assert describe_cost(ledger) in text
    assert f"trial 3 failed: {DIVERGED}: training loss became nan in epoch 2" in text
    assert str(folder) in text
    assert "sweep confirm" in text

    synthetic.write_confirmed(folder, ledger, synthetic.Confirming(n_seeds=4, predictions=False))
    print_result(folder, ledger, as_json=False)
    text = capsys.readouterr().out
    assert "mean of 4 seeds" in text
    assert "sweep confirm" not in text
    for title in ("hand-tuned LeNet-5", "plain LeNet-5", "CustomMLP"):
        assert title in text
    assert "95 % interval" in text


def test_next_steps_can_be_typed_as_they_are_wherever_the_sweep_lies(
    make_sweep: MakeSweep,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, ledger = make_sweep(n_trials=10, failure_rate=0)
    print_result(folder, ledger, as_json=False)
    steps = _next_steps(capsys.readouterr().out)
    assert [step.split()[1] for step in steps] == ["trials", "confirm", "best"]
    assert all(step.endswith(f"synthetic --storage {tmp_path}") for step in steps)

    monkeypatch.setenv("SWEEP_STORAGE", str(tmp_path))
    print_result(folder, ledger, as_json=False)
    steps = _next_steps(capsys.readouterr().out)
    assert steps[0] == "sweep trials --top 10 synthetic"
    assert all(step.endswith(" synthetic") for step in steps)


def _next_steps(text: str) -> list[str]:
    """The commands that the end of a sweep proposes."""
    lines = text[text.index("\nnext ") + 1 :].splitlines()
    return [re.split(r" {2,}", line[7:])[0] for line in lines]


def test_result_as_json_is_the_best_document(
    make_sweep: MakeSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ledger = make_sweep(n_trials=10)
    print_result(folder, ledger, as_json=True)
    assert json.loads(capsys.readouterr().out) == best_document(folder, ledger)


def test_result_of_a_folder_is_called_by_the_folders_name(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    folder, _ = make_sweep(n_trials=4)
    folder.path.rename(tmp_path / "renamed")
    renamed = LocalFolder(tmp_path / "renamed")
    document: dict[str, Any] = best_document(renamed, read_ledger(renamed))
    assert document["sweep"] == "renamed"
