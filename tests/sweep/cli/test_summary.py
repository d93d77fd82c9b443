import re
from pathlib import Path

import synthetic
from analysis.records.ledger import DIVERGED
from sweep.api.storage import follow_up
from sweep.cli.summary import print_result
from sweep.results.best import best_document


def test_result_of_a_sweep_whose_new_best_trial_is_not_confirmed(make_sweep, capsys):
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


def test_result_as_text_has_the_costs_the_failures_and_the_arms(make_sweep, capsys):
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
    assert f",\n       {len(ledger.in_state('STOPPED'))} stopped early: " in text
    assert re.search(r"\butilization [\d.]+ %, without start and end", text)

    synthetic.write_confirmed(folder, ledger, n_seeds=5, predictions=False)
    print_result(folder, ledger, as_json=False)
    text = capsys.readouterr().out
    assert "mean of 5 seeds" in text
    assert "sweep confirm" not in text
    for title in ("hand-tuned LeNet-5", "plain LeNet-5", "MLP", "95 % interval"):
        assert title in text


def test_next_commands_can_be_typed_wherever_the_sweep_is(
    make_sweep, tmp_path, capsys, monkeypatch
):
    folder, ledger = make_sweep(n_trials=10, failure_rate=0)
    for where in (f" --storage {tmp_path}/storage", ""):
        print_result(folder, ledger, as_json=False)
        _, _, end = capsys.readouterr().out.rpartition("\nnext ")
        commands = [re.split(r" {2,}", line.strip())[0] for line in end.splitlines()]
        expected = ["trials --top 10", "confirm", "best --json"]
        assert commands == [f"sweep {command} synthetic{where}" for command in expected]
        monkeypatch.setenv("SWEEP_STORAGE", f"{tmp_path}/storage")


def test_next_commands_stay_whole_on_a_narrow_terminal(make_sweep, monkeypatch, capsys):
    folder, ledger = make_sweep(n_trials=4)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "60")
    print_result(folder, ledger, as_json=False)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert f"next   {follow_up('trials --top 10', folder)}" in lines
    assert f"{'':9}the ten best trials" in lines


def test_storage_of_the_environment_need_not_be_one(make_sweep, tmp_path, monkeypatch):
    folder, _ = make_sweep(n_trials=4)
    for unusable in (str(Path(__file__)), "s3://"):
        monkeypatch.setenv("SWEEP_STORAGE", unusable)
        assert follow_up("best", folder) == f"sweep best synthetic --storage {tmp_path}/storage"
