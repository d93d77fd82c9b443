import re
import socket
import sys
import time

import pytest
from optuna import load_study
from optuna.trial import TrialState
from optuna_dashboard import get_note

import synthetic
from analysis.plots.importance import importances
from analysis.records.confirmation import Confirmation
from analysis.records.files import LEDGER_FILE
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from in_memory import apply, trial_ended, trial_epoch, trial_records, trial_started
from sweep.errors import UsageError
from sweep.results.best import best_document
from sweep.results.dashboard import StudyMirror, serve

VALUES = {"dropout": 0.1, "rotation": 5.0, "shift": 0.1, "weight_decay": 1e-4}


def trials_of(mirror: StudyMirror) -> list[tuple[int, TrialState, float | None, dict[int, float]]]:
    trials = mirror.storage.get_all_trials(mirror.study_id)
    return [(t.number, t.state, t.value, t.intermediate_values) for t in trials]


def note_of(mirror: StudyMirror, study_id: int = 0) -> str:
    name = mirror.storage.get_study_name_from_id(study_id)
    return get_note(load_study(study_name=name, storage=mirror.storage))


def test_mirror_follows_a_ledger_that_grows(make_sweep):
    folder, ledger = make_sweep(n_trials=1, n_running=1, epochs=4)
    with folder.lock():
        mirror = StudyMirror(folder, print)
        mirror.update(ledger)
        ((_, state, value, curve),) = trials_of(mirror)
        assert (state, value, list(curve)) == (TrialState.RUNNING, None, [1, 2])
        apply(ledger, trial_epoch(1, 3, 0.97), trial_started(2, VALUES))
        mirror.update(ledger)
        assert [found[1] for found in trials_of(mirror)] == [TrialState.RUNNING] * 2
        assert trials_of(mirror)[0][3] == curve | {3: 0.97}
        apply(
            ledger,
            trial_epoch(1, 4, 0.98),
            trial_epoch(2, 1, 0.5),
            trial_ended(1),
            trial_ended(2, "FAILED", "training loss became nan in epoch 2"),
            *trial_records(3, [], "STOPPED", VALUES | {"dropout": 0.9}),  # of a wider space
        )
        for _ in range(2):  # the second time there is nothing new
            mirror.update(ledger)
            assert trials_of(mirror) == [
                (
                    1,
                    TrialState.COMPLETE,
                    pytest.approx((curve[2] + 0.97 + 0.98) / 3),
                    curve | {3: 0.97, 4: 0.98},
                ),
                (2, TrialState.FAIL, None, {1: 0.5}),
                (3, TrialState.PRUNED, None, {}),
            ]
    assert "Not confirmed." in note_of(mirror)
    reasons = [t.user_attrs.get("reason") for t in mirror.storage.get_all_trials(0)]
    assert reasons == [None, "training loss became nan in epoch 2", None]


def test_attributes_and_note_of_the_study_follow_the_confirmation(make_sweep):
    folder, ledger = make_sweep(n_trials=3, failure_rate=0.0)
    mirror = StudyMirror(folder, print)
    mirror.follow()
    before = mirror.storage.get_study_user_attrs(0)
    assert "**synthetic** (lenet5 on mnist): finished. " in note_of(mirror)
    (bar,) = mirror.importances()
    assert (bar["importance"], bar["name"].replace("<br>", " ")[:16]) == (0, "not shown: only ")
    reason = r"\*\*Importance:\*\* not shown: only \d trials? to compare; at least 12 are needed"
    assert re.search(reason, note_of(mirror))
    assert "Not confirmed." in note_of(mirror)
    assert before["Test accuracy"] == "not confirmed"
    synthetic.write_confirmed(folder, ledger, 4)
    mirror.update(ledger)
    after = mirror.storage.get_study_user_attrs(0)
    confirmed = best_document(folder, ledger)["confirmed"]
    assert len(after) == 5  # as many as the page shows
    assert after["Verdict"].startswith("no verdict; see the Note")  # the hand-tuned point won
    text, best = confirmed["verdict"]["text"], rank_trials(ledger)[0]
    assert f"\n\n{text} Trial {best.trial.trial_id} beats " in note_of(mirror)
    for arm in Confirmation.read(folder).arms.values():
        assert f"\n| {arm.title} | 9" in note_of(mirror)
    assert (
        after["Best"]
        == f"trial {best.trial.trial_id}, validation accuracy {100 * best.score:.2f} %"
    )
    mean = f"{100 * confirmed['test_accuracy_mean']:.2f} %"
    assert after["Test accuracy"].startswith(f"{mean} (95 % interval ")


def test_verdict_on_a_found_trial_names_its_baseline(make_sweep):
    folder, ledger = make_sweep(n_trials=16)
    assert rank_trials(ledger)[0].trial.origin == "proposed"
    synthetic.write_confirmed(folder, ledger, 4)
    mirror = StudyMirror(folder, print)
    mirror.update(ledger)
    outcome = best_document(folder, ledger)["confirmed"]["verdict"]["outcome"]
    assert outcome == "open"
    verdict = mirror.storage.get_study_user_attrs(0)["Verdict"]
    assert verdict.startswith("no evidence that it beats hand-tuned LeNet-5; see the Note")


def test_trials_of_equal_length_have_a_study_of_their_own(make_sweep):
    """Because the dashboard's contours are right only if all trials of a study are complete."""
    folder, ledger = make_sweep(n_trials=8, failure_rate=0.0, n_running=1)
    mirror = StudyMirror(folder, print)
    mirror.update(ledger)
    _, second = mirror.storage.get_all_studies()
    assert second.study_name == f"{folder.name}: complete trials"
    assert [number for number, *_ in trials_of(mirror)] == [*range(1, 9)]
    before = mirror.storage.get_all_trials(second._study_id)
    complete = ledger.in_state("COMPLETE")
    assert [trial.number for trial in before] == [trial.trial_id for trial in complete]
    assert len(complete) < 7
    # What is new comes last, because an open page asks for that alone.
    stopped = ledger.in_state("STOPPED")[0]
    stopped.state = "COMPLETE"
    mirror.update(ledger)
    after = mirror.storage.get_all_trials(second._study_id)
    assert [t.number for t in after] == [*(t.number for t in before), stopped.trial_id]
    assert f"see the study {second.study_name}; here they mix" in note_of(mirror)


def test_trials_of_an_interrupted_sweep_are_not_running(make_sweep):
    folder, ledger = make_sweep(n_trials=3, n_running=1)
    mirror = StudyMirror(folder, print)
    mirror.update(ledger)
    interrupted = mirror.storage.get_trial(3)
    assert (interrupted.state, interrupted.user_attrs["outcome"]) == (
        TrialState.WAITING,
        "interrupted",
    )
    assert interrupted.system_attrs["fixed_params"] == interrupted.params != {}
    state = "interrupted, 2 of 3 trials ended"
    assert mirror.storage.get_study_user_attrs(0)["Sweep"] == state
    assert f"(lenet5 on mnist): {state}. Best: trial " in note_of(mirror)
    with folder.lock():
        mirror.update(ledger)
    running = mirror.storage.get_trial(3)
    assert (running.state, running.user_attrs["outcome"]) == (TrialState.RUNNING, "running")


def test_previews_have_a_study_of_their_own(make_sweep):
    folder, ledger = make_sweep(n_trials=6, failure_rate=0.0, scheduler="none")
    previews = [*ledger.trials.values()][:4]
    for trial in previews:
        trial.preview_epochs, trial.state = len(trial.epochs), "STOPPED"
    mirror = StudyMirror(folder, print)
    mirror.update(ledger)
    mirror.update(ledger)
    first, second = mirror.storage.get_all_studies()
    assert (first.study_name, second.study_name) == (folder.name, f"{folder.name}: previews")
    assert len(mirror.storage.get_all_trials(first._study_id)) == 6
    shown = mirror.storage.get_all_trials(second._study_id)
    assert [(trial.number, trial.value) for trial in shown] == [
        (trial.trial_id, pytest.approx(trial.val_accuracy)) for trial in previews
    ]
    assert {trial.state for trial in shown} == {TrialState.COMPLETE}
    assert all(mirror.storage.get_trial(trial._trial_id) is trial for trial in shown)
    about = mirror.storage.get_study_user_attrs(second._study_id)["Trials"]
    assert about == f"previews: {previews[0].planned_epochs} epochs instead of 15"
    assert note_of(mirror, second._study_id).startswith(f"Only {about}. ")


def test_study_of_equal_lengths_stays_so(make_sweep):
    folder, ledger = make_sweep(n_trials=6, failure_rate=0.0)
    mirror = StudyMirror(folder, print)
    mirror.update(ledger)
    complete = [trial.trial_id for trial in ledger.in_state("COMPLETE")]
    preview = ledger.in_state("STOPPED")[0]
    preview.preview_epochs = 5  # as of a later config
    mirror.update(ledger)
    second = mirror.storage.get_all_studies()[1]
    assert [t.number for t in mirror.storage.get_all_trials(second._study_id)] == complete


def test_zero_is_shown_as_almost_zero(make_sweep):
    """Because the dashboard's contours leave out what is exactly 0."""
    folder, ledger = make_sweep(n_trials=2, failure_rate=0.0, scheduler="none")
    ledger.trials[1].hyperparameters["dropout"] = 0.0
    mirror = StudyMirror(folder, print)
    mirror.update(ledger)
    trial = mirror.storage.get_trial(1)
    assert trial.params["dropout"] == 0.0
    assert 0 < trial.distributions["dropout"].to_internal_repr(0.0) < 1e-9


def test_mirror_has_the_numbers_the_best_trial_and_the_importances_of_the_sweep(make_sweep):
    folder, ledger = make_sweep(n_trials=24, failure_rate=0.0, scheduler="none")
    del ledger.trials[2], ledger.trials[7]
    ledger.trials = dict(sorted(ledger.trials.items(), reverse=True))  # the last began first
    mirror = StudyMirror(folder, print)
    mirror.update(ledger)
    assert [trial[0] for trial in trials_of(mirror)] == sorted(ledger.trials)
    study = load_study(study_name=folder.name, storage=mirror.storage)
    assert study.best_trial.number == rank_trials(ledger)[0].trial.trial_id
    shown = [(row["name"], row["importance"]) for row in mirror.importances()]
    suffix = {True: "", False: " (within chance)"}
    found = importances(ledger)
    assert {row.is_clear for row in found} == {True, False}
    assert shown == [(row.name + suffix[row.is_clear], row.value) for row in found]


def test_mirror_reads_the_ledger_every_two_seconds_and_survives_damage(make_sweep, monkeypatch):
    folder, _ = make_sweep(n_trials=1, n_running=1, epochs=3)
    now, problems = 1000.0, []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    mirror = StudyMirror(folder, problems.append)
    good = folder.read(LEDGER_FILE)
    folder.write(LEDGER_FILE, b"nonsense\n" + good)
    mirror.follow()
    now += 2
    mirror.follow()
    (problem,) = problems
    assert problem.startswith(f"{folder}/ledger.jsonl:")
    folder.write(LEDGER_FILE, good)
    now += 1
    mirror.follow()
    assert trials_of(mirror) == []
    now += 1
    mirror.follow()
    assert [found[1] for found in trials_of(mirror)] == [TrialState.WAITING]


def serve_quietly(folder: Folder, port: int) -> None:
    def never(text: str) -> None:
        raise AssertionError(text)

    serve([folder], port=port, on_ready=never, on_problem=never)


def test_port_in_use_is_refused(make_sweep):
    folder, _ = make_sweep(n_trials=1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UsageError) as caught:
            serve_quietly(folder, port)
    assert str(caught.value) == (
        f"cannot listen on port {port} of 127.0.0.1 (Address already in use); choose "
        "another with --port, or 0 for any that is free"
    )


def test_missing_package_is_named(make_sweep, monkeypatch):
    folder, _ = make_sweep(n_trials=1)
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(UsageError, match=r"pip install 'optuna-dashboard>=0\.17'$"):
        serve_quietly(folder, 0)
