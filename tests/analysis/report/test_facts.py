import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml

from analysis.records.confirmation import Confirmation
from analysis.records.ledger import ConfigChanged, read_ledger
from analysis.records.predictions import Predictions, save_predictions
from analysis.records.seeds import confirmation_seeds
from analysis.report.facts import arm_notes, arm_rows, comparison_rows, describe_best, find_verdict
from analysis.results.selection import rank_trials
from analysis.results.statistics import McNemar
from analysis.results.verdict import describe_verdict
from analysis.storage.local_folder import LocalFolder
from in_memory import by_seed, make_confirmation, make_ledger
from sweep.config.resolve import resolve_config


def best_id(ledger):
    return rank_trials(ledger)[0].trial.trial_id


@pytest.fixture
def ledger(add_sweep):
    return read_ledger(add_sweep(n_trials=6))


def test_verdict_of_an_unconfirmed_sweep_claims_nothing(ledger):
    verdict, best = (
        find_verdict(LocalFolder(Path("no-predictions")), ledger, None),
        rank_trials(ledger)[0],
    )
    assert verdict["outcome"] == "none"
    assert "Not confirmed" in verdict["text"]
    assert f"trial {best.trial.trial_id}, with {100 * best.score:.2f} %" in verdict["text"]
    assert "not finished" not in verdict["note"]


def test_verdict_of_an_unfinished_search_without_a_best_trial_says_so():
    ledger = make_ledger(("FAILED", {}, []), (None, {}, [0.9]))
    verdict = find_verdict(LocalFolder(Path("no-predictions")), ledger, None)
    assert "no best trial" in verdict["text"]
    assert verdict["note"] == "The search is not finished: 1 of 2 trials have ended."
    assert describe_best(ledger) is None


@pytest.mark.parametrize(
    ("finalist", "outcome"),
    [
        (by_seed(0.99, 0.991, 0.992, 0.991), "better"),
        (by_seed(0.97, 0.971, 0.972, 0.971), "worse"),
        (by_seed(0.98, 0.981, 0.982, 0.981), "open"),
    ],
)
def test_verdict_is_the_statistics(ledger, finalist, outcome):
    runs = {"finalist": finalist, "plain": by_seed(0.98, 0.9812, 0.9818, 0.981)}
    confirmation = make_confirmation(runs, first_trial=best_id(ledger))
    verdict = find_verdict(LocalFolder(Path("no-predictions")), ledger, confirmation)
    assert verdict["outcome"] == outcome
    assert verdict["text"] == describe_verdict(
        confirmation, best_id(ledger), LocalFolder(Path("no-predictions"))
    )


def test_arm_rows_count_the_finished_seeds(ledger):
    runs = {
        "finalist": {1: 0.99, 2: 0.991, 3: 0.992},
        "plain": {1: 0.98, 2: None},
        "mlp": {1: None},
    }
    confirmation = make_confirmation(runs, first_trial=best_id(ledger))
    rows = [
        (row["arm"].arm, row["role"], row["seeds"], row["summary"] and row["summary"].mean)
        for row in arm_rows(ledger, confirmation)
    ]
    assert rows == [
        ("finalist", "finalist", "3", pytest.approx(0.991)),
        ("plain", "reference", "1 of 3", 0.98),
        ("mlp", "baseline", "0 of 3", None),
    ]


def test_hand_tuned_finalist_is_the_others_reference(ledger):
    names = ("finalist-1", "finalist-2", "mlp")
    accuracies = {1: 0.99, 2: 0.991}
    confirmation = make_confirmation(dict.fromkeys(names, accuracies), first_trial=best_id(ledger))
    for name, is_reference in zip(names, (False, True, False), strict=True):
        arm = msgspec.structs.replace(confirmation.arms[name], reference=is_reference)
        confirmation.arms[name] = arm
    roles = [row["role"] for row in arm_rows(ledger, confirmation)]
    assert roles == ["finalist", "reference", "baseline"]
    rows = comparison_rows(LocalFolder(Path("no-predictions")), ledger, confirmation)
    assert [(row["finalist"], row["baseline"], row["is_verdict"]) for row in rows] == [
        ("the finalist-1", "the finalist-2", True),
        ("the finalist-1", "the mlp", False),
        ("the finalist-2", "the mlp", False),
    ]


@pytest.mark.parametrize(
    ("fails", "has_predictions", "position"),
    [(None, True, 0), ("finalist-1", True, 1), ("mlp", True, 1), (None, False, None)],
)
def test_networks_of_the_first_derived_seed_are_compared(
    ledger, tmp_path, fails, has_predictions, position
):
    seeds = confirmation_seeds(1, 3)
    assert seeds[0] > seeds[1] > min(seeds)  # numerically, another order
    folder, digits = LocalFolder(tmp_path), np.zeros(9, np.uint8)
    runs = {}
    for arm in ("finalist-1", "mlp"):
        runs[arm] = dict.fromkeys(sorted(seeds), 1.0) | ({seeds[0]: None} if arm == fails else {})
        for seed in seeds if has_predictions else ():
            save_predictions(folder, arm, seed, Predictions(digits, np.ones(9), digits))
    ledger.config["seed"] = 1
    (row,) = comparison_rows(folder, ledger, make_confirmation(runs))
    assert row["networks"] == (None if position is None else (seeds[position], McNemar(0, 0, 1.0)))


def test_best_has_a_config_that_trains_it_alone(ledger, tmp_path):
    best, trial = describe_best(ledger), rank_trials(ledger)[0].trial
    assert best["trial_id"] == trial.trial_id
    (tmp_path / "again.yaml").write_text(best["config"])
    config = resolve_config(path=tmp_path / "again.yaml")
    assert (config.trials, config.epochs, config.model) == (1, 15, "lenet5")
    assert [dict(point) for point in config.initial_points] == [trial.hyperparameters]
    recipe = trial.config["recipe"] | trial.hyperparameters
    assert config.hyperparameters(trial.hyperparameters) == recipe


def test_best_of_an_own_network_is_trained_again_with_its_file(ledger, tmp_path):
    text = "class Net: pass"
    digest = hashlib.sha256(text.encode()).hexdigest()
    model = {"model": f"model.py:Net@{digest}"}
    drawn = rank_trials(ledger)[0].trial.hyperparameters
    own = make_ledger(("COMPLETE", drawn, [0.9]), **ledger.config | model)
    best = describe_best(own)
    assert best["model_file"] == "model.py"
    (tmp_path / "again.yaml").write_text(best["config"])
    (tmp_path / "model.py").write_text(text)
    assert resolve_config(path=tmp_path / "again.yaml").model == model["model"]
    own.apply(ConfigChanged(2e9, own.config | {"model": f"model.py:Net@{'ab' * 32}"}))
    assert describe_best(own)["model_file"] == f"model-{digest[:8]}.py"


def test_best_is_stated_with_its_own_config_after_the_sweeps_has_changed(ledger):
    trial, before = rank_trials(ledger)[0].trial, describe_best(ledger)
    space = {"dropout": {"low": 0.0, "high": 0.1}}
    recipe = ledger.config["recipe"] | {"batch_size": 256, "schedule": "linear", "rotation": 3.0}
    changed = {"epochs": 2, "space": space, "recipe": recipe, "model": "mlp"}
    ledger.apply(ConfigChanged(2e9, ledger.config | changed))
    assert describe_best(ledger) == before
    assert ("batch_size", "64") in before["fixed"]
    assert yaml.safe_load(before["config"])["initial_points"] == [trial.hyperparameters]


def test_best_does_not_repeat_searched_hyperparameters(add_sweep):
    best = describe_best(read_ledger(add_sweep(n_trials=4, decaying=True)))
    names = [name for name, _ in (*best["searched"], *best["fixed"])]
    assert len(names) == len(set(names))
    assert "learning_rate" not in yaml.safe_load(best["config"])["recipe"]


def test_baselines_say_their_regularizers_and_what_was_searched_for_the_winner(confirmed_folder):
    search = {"n_trials": 32, "decaying": True, "failure_rate": 0, "scheduler": "none"}
    folder = confirmed_folder(search, n_seeds=1, predictions=False)
    ledger, confirmation = read_ledger(folder), Confirmation.read(folder)
    assert best_id(ledger) != 1
    own, tuned, plain, mlp = arm_notes(ledger, confirmation)
    values = "dropout 0.25, rotation 10°, shift 0.05, weight decay 0.001"
    searched = f"; the learning rate that the search chose for trial {best_id(ledger)}."
    name = f"hand-tuned, recipe of trial {best_id(ledger)}"
    assert own == f"“{name}”: {values}, elastic 0.03, label smoothing 0.03{searched}"
    assert tuned == f"“hand-tuned LeNet-5”: {values}."
    assert (plain, mlp) == ("“plain LeNet-5”: no regularizers.", "“MLP”: no regularizers.")
