import json

import pytest
import yaml

from analysis.records.confirmation import Confirmation, Plan
from analysis.records.ledger import Ledger, Notice, read_ledger
from analysis.records.seeds import confirmation_seeds
from analysis.report.costs import (
    commands,
    cost_rows,
    environment_rows,
    failure_rows,
    notice_rows,
    resolved_config,
)
from analysis.results.cost import describe_shortened, search_cost
from in_memory import apply, make_ledger, trial_records


def test_costs_of_a_search_count_every_core(add_sweep):
    ledger = read_ledger(add_sweep(n_trials=12))
    ledger.config["resources"] = {"cpu": 4, "gpu": 0}
    cost, rows = search_cost(ledger), dict(cost_rows(ledger, None))
    assert rows["Search: epochs trained"] == f"{cost.epochs}"
    planned = cost.epochs + cost.epochs_saved
    saved = f"{cost.epochs_saved} of {planned}, {100 * cost.epochs_saved / planned:.0f} %"
    assert rows["Search: epochs saved"] == f"{saved}: {describe_shortened(ledger)}"
    assert rows["Search: core time"].startswith(f"{4 * cost.slot_seconds:,.0f} core-seconds (")
    assert not any(name.startswith("Confirmation") for name in rows)


def test_previews_are_not_called_early_stopping():
    ledger = make_ledger(("COMPLETE", {}, [0.9] * 4))
    apply(ledger, *trial_records(2, [0.9], "STOPPED", preview_epochs=1, time=200.0))
    assert dict(cost_rows(ledger, None))["Search: epochs saved"] == "3 of 8, 38 %: 1 preview"


def test_costs_of_a_confirmation(confirmed_folder):
    folder = confirmed_folder({"n_trials": 2, "epochs": 3}, n_seeds=2, predictions=False)
    confirmation = Confirmation.read(folder)
    rows = dict(cost_rows(read_ledger(folder), confirmation))
    n_runs = 2 * len(confirmation.arms)
    assert rows["Confirmation: runs"] == f"{n_runs}"
    assert rows["Confirmation: epochs trained"] == f"{3 * n_runs}"


def test_failures_name_trials_and_runs(confirmed_folder):
    folder = confirmed_folder(
        {"n_trials": 12, "failure_rate": 0.3}, n_seeds=1, fails_in="mlp", predictions=False
    )
    ledger = read_ledger(folder)
    rows = failure_rows(ledger, Confirmation.read(folder))
    failed = [trial.trial_id for trial in ledger.in_state("FAILED")]
    assert [name for name, _ in rows] == [
        *(f"trial {trial_id}" for trial_id in failed),
        f"MLP, seed {confirmation_seeds(0, 1)[0]}",
    ]
    assert all("training loss became nan" in reason for _, reason in rows)


def test_failures_are_shortened(add_sweep):
    rows = failure_rows(read_ledger(add_sweep(n_trials=50, failure_rate=1.0)), None)
    assert len(rows) == 21
    assert rows[-1] == ("and others", "30 more in the ledger")


def test_notices_leave_out_those_of_failed_trials(add_sweep):
    ledger = read_ledger(add_sweep(n_trials=3, failure_rate=1.0))
    assert ledger.notices
    ledger.apply(Notice(1e10, None, "a worker died"))
    assert notice_rows(ledger, None) == [("search", "a worker died")]


def test_environment_is_shown_whatever_it_holds(add_sweep):
    folder = add_sweep(n_trials=1)
    assert environment_rows(folder) == []
    recorded = {
        "versions": {"python": "3.11"},
        "commit": None,
        "machine": {"processors": 2, "memory_bytes": 2**34},
        "other": ["a", 1, True],
    }
    folder.write("environment.json", json.dumps(recorded).encode())
    assert environment_rows(folder) == [
        ("python", "3.11"),
        ("processors", "2"),
        ("memory", "16.0 GiB"),
        ("other", '["a", 1, true]'),
    ]


@pytest.mark.parametrize("data", [b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_environment_that_is_damaged_is_no_reason_to_fail(add_sweep, data):
    folder = add_sweep(n_trials=1)
    folder.write("environment.json", data)
    assert environment_rows(folder) == [("environment.json", "is damaged")]


def test_resolved_config_is_the_files_or_else_the_ledgers(add_sweep):
    folder = add_sweep(n_trials=1)
    ledger = read_ledger(folder)
    assert yaml.safe_load(resolved_config(folder, ledger)) == ledger.config
    folder.write("config.yaml", b"model: lenet5 # mine\n")
    assert resolved_config(folder, ledger) == "model: lenet5 # mine\n"


def test_commands_confirm_only_what_is_there_to_confirm(confirmed_folder):
    folder = confirmed_folder({"n_trials": 2, "name": "two words"}, n_seeds=4, predictions=False)
    ledger = read_ledger(folder)
    assert next(iter(commands(ledger, None))) == "sweep confirm 'two words'"
    confirmation = Confirmation.read(folder)
    assert confirmation is not None
    assert not any("confirm" in command for command in commands(ledger, confirmation))
    confirmation.apply(Plan(1.0, 1, 5, None))  # one seed more
    assert commands(ledger, confirmation)["sweep resume 'two words'"] == "finish the sweep"
    nothing = Ledger(ledger.created)
    assert list(commands(nothing, None)) == [
        "sweep run --config config.yaml --concurrency 1",
        "sweep plot 'two words'",
        "sweep report 'two words'",
    ]


def test_own_network_needs_its_file(add_sweep):
    ledger = read_ledger(add_sweep(n_trials=1))
    ledger.config["model"] = f"model.py:Net@{'ab' * 32}"
    purposes = commands(ledger, None).values()
    assert any("beside it the sweep's model.py" in purpose for purpose in purposes)
