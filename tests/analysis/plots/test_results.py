import dataclasses

import pytest
from msgspec.structs import replace

from analysis.plots.results import NothingToDrawError, Results, read_results
from analysis.records.predictions import ShownImages
from analysis.records.seeds import confirmation_seeds
from analysis.results.selection import rank_trials
from analysis.storage.local_folder import LocalFolder
from in_memory import make_confirmation, make_ledger

SEED = 1


def test_predictions_are_those_of_the_best_trial(confirmed_folder):
    results = read_results(confirmed_folder({"n_trials": 8, "epochs": 2}, n_seeds=2, top_k=2))
    arm, predictions = results.shown_finalist()
    best = rank_trials(results.ledger)[0].trial
    assert arm.trial_id == best.trial_id
    accuracies = {seed: float(p.correct.mean()) for seed, p in predictions.items()}
    assert accuracies == pytest.approx(results.confirmed().test_accuracies(arm.arm))


def test_shown_finalist_is_the_best_trial_or_nothing(some_ledger):
    results = Results(some_ledger, None, {}, ShownImages.none())
    with pytest.raises(NothingToDrawError, match="not confirmed yet.*`sweep resume made`"):
        results.shown_finalist()
    ledger = make_ledger(*(("COMPLETE", {}, [accuracy]) for accuracy in (0.9, 0.91, 0.92)))
    results = dataclasses.replace(results, ledger=ledger)
    with pytest.raises(NothingToDrawError, match="not confirmed yet.*`sweep confirm made`"):
        results.shown_finalist()
    # The best trial is the third.
    others = make_confirmation({"finalist-1": {1: 0.99}, "finalist-2": {1: 0.98}})
    with pytest.raises(NothingToDrawError, match="best trial is not confirmed.*`sweep confirm"):
        dataclasses.replace(results, confirmation=others).shown_finalist()
    confirmation = make_confirmation({"finalist": {1: 0.99}}, first_trial=3)
    with pytest.raises(NothingToDrawError, match="no finished run of the finalist has"):
        dataclasses.replace(results, confirmation=confirmation).shown_finalist()


def test_next_step_names_the_folder_in_full_or_is_left_out(confirmed_folder):
    folder = confirmed_folder({"n_trials": 2, "epochs": 2}, n_seeds=1)
    results = dataclasses.replace(read_results(folder), confirmation=None)
    results.ledger.created = replace(results.ledger.created, name="a" * 41)
    with pytest.raises(NothingToDrawError, match=f"`sweep confirm {'a' * 41}`"):
        results.confirmed()
    failed = make_ledger(("FAILED", {}, []))
    with pytest.raises(NothingToDrawError, match="no test image was used$"):
        dataclasses.replace(results, ledger=failed).confirmed()


def test_renamed_sweep_has_its_new_name(confirmed_folder):
    folder = confirmed_folder({"n_trials": 1, "epochs": 2}, n_seeds=1)
    renamed = LocalFolder(folder.path.rename(folder.path.with_name("renamed")))
    assert read_results(renamed).ledger.name == "renamed"


def test_first_predictions_are_those_of_the_first_derived_seed(confirmed_folder):
    derived = confirmation_seeds(SEED, 2)
    assert derived[0] > derived[1]
    folder = confirmed_folder({"n_trials": 1, "epochs": 2, "seed": SEED}, n_seeds=2)
    _, predictions = read_results(folder).shown_finalist()
    assert list(predictions) == derived
