import csv
import io
import json
import re
import shutil
from contextlib import ExitStack

import pytest

import synthetic
from analysis.formatting import duration
from analysis.hyperparameters import HAND_TUNED
from analysis.records.confirmation import Arm, LookTaken, Plan
from analysis.records.ledger import read_ledger
from analysis.records.sweeps import list_sweeps
from analysis.storage.journal import encode_record
from analysis.storage.local_folder import LocalFolder
from appending import append, write_journal
from in_memory import begin_ledger, trial_records
from sweep.config import SweepConfig


def words(text: str) -> list[list[str]]:
    """The words of each line, without colors."""
    return [re.sub("\x1b\\[[0-9;]*m", "", line).split() for line in text.splitlines()]


def test_trials_are_documents_with_the_best_first(call, tmp_path):
    begun = begin_ledger(SweepConfig(epochs=4, initial_points=[HAND_TUNED]))
    values = {"dropout": 0.1, "rotation": 5.0, "shift": 0.05, "weight_decay": 1e-4}
    folder = LocalFolder(tmp_path / "storage" / "made")
    trials = (
        ("STOPPED", [0.91]),
        ("COMPLETE", [0.9, 0.95, 0.96, 0.97]),
        (None, []),
        ("COMPLETE", [0.9, 0.97, 0.98, 0.96]),
        ("FAILED", [0.5, 0.4]),
        ("STOPPED", [0.92]),
    )
    records = []
    for trial_id, (state, curve) in enumerate(trials, start=1):
        records += trial_records(trial_id, curve, state, values, seconds=1.25)
    write_journal(folder, begun, *records)
    outcome = call("trials made --json")
    assert (outcome.exit_code, outcome.err) == (0, "")
    document = outcome.document
    names = ("trial_id", "state", "origin", "hyperparameters", "epochs", "val_accuracy", "seconds")
    # Complete trials have the mean of the last three epochs, as the learning rate is constant.
    rows = [
        (4, "COMPLETE", "proposed", values, 4, pytest.approx(0.97), 5.0),
        (2, "COMPLETE", "proposed", values, 4, pytest.approx(0.96), 5.0),
        (5, "FAILED", "proposed", values, 2, 0.4, 2.5),
        (6, "STOPPED", "proposed", values, 1, 0.92, 1.25),
        (1, "STOPPED", "initial", values, 1, 0.91, 1.25),
        (3, "RUNNING", "proposed", values, 0, None, 0.0),
    ]
    more = {"planned_epochs": 4, "preview": False, "repeats": None}
    assert document == {"trials": [dict(zip(names, row, strict=True)) | more for row in rows]}
    for n in (1, 3, 100):
        top = call("trials --json --top", n).document
        assert top["trials"] == document["trials"][:n]


def test_best_as_text_says_the_same_as_json(call, add_sweep, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")  # narrower than its longest line, which is not broken
    add_sweep("made", n_trials=12, epochs=5)
    document = call("best --json").document
    title, *rows = words(call("best").out)
    trial_id, percent = document["trial_id"], f"{100 * document['val_accuracy']:.2f}"
    expected = f"best of made: trial {trial_id}, {percent} % on the validation images"
    assert " ".join(title) == expected
    names = ["dropout", "rotation", "shift", "weight_decay"]
    names += ["origin", "rule", "checkpoint", "test"]
    assert [row[0] for row in rows] == names
    assert rows[0][1] == f"{document['hyperparameters']['dropout']:.3g}"
    assert rows[1][1].endswith("°")
    assert rows[4][1:] == ["proposed", "by", "the", "searcher"]
    assert rows[5][1:] == document["selection"].split()
    assert rows[6][1:] == ["none"]


def test_trial_that_repeats_a_preview_says_so(call, add_sweep):
    folder = add_sweep("made", n_trials=2, epochs=2, scheduler="none", failure_rate=0)
    drawn = read_ledger(folder).trials[2].hyperparameters
    preview = trial_records(3, [0.9], "STOPPED", drawn, preview_epochs=1, time=2e9)
    full = trial_records(4, [1.0, 1.0], "COMPLETE", drawn, repeats=3, time=2e9)
    append(folder, *preview, *full)
    origin = "proposed by the searcher, repeats preview 3 in all 2 epochs"
    assert f"\n  origin         {origin}\n" in call("best").out
    document = call("best --json").document
    assert (document["origin"], document["repeats"]) == ("proposed", 3)
    status = call("status --json").document
    assert (status["previews"], status["stopped"]) == (1, 0)
    _, header, *rows, _ = words(call("trials").out)
    repeats = {row[0]: row[header.index("repeats") - len(header)] for row in rows}
    assert repeats == {"1": "–", "2": "–", "3": "–", "4": "3"}
    call("report")
    report = folder.read("report.html").decode()
    assert f"<p>Trial 4, {origin}: 100.00\u00a0%" in report
    assert "<td>repeats 3</td></tr>" in report


def test_best_says_first_that_no_proposal_beat_the_initial_point(call, add_sweep):
    add_sweep("lost", n_trials=8)
    assert call("best lost --json").document["origin"] == "initial"
    first, second, *_ = call("best lost").out.splitlines()
    assert first == "None of 7 proposals of the searcher beat the initial point, trial 1"
    assert second.startswith("best of lost: trial 1, ")


def test_best_of_a_sweep_that_is_not_finished_says_so(call, add_sweep):
    folder = add_sweep("cut", n_trials=6, n_running=2)
    first, *rest = call("best cut").out.splitlines()
    hint = "continue with: sweep resume cut"
    assert first == f"sweep cut: interrupted, 4 of 6 trials ended; {hint}"
    assert any(line.startswith("best so far of cut: trial ") for line in rest)
    with folder.lock():
        assert call("best cut").out.startswith("sweep cut: running, 4 of 6 trials ended\n")


def test_best_has_the_baselines_and_the_verdict(call, add_sweep):
    folder = add_sweep("made", n_trials=20, decaying=True, scheduler="none")
    synthetic.write_confirmed(folder, read_ledger(folder), 5, predictions=False)
    document = call("best made --json").document
    baselines = {arm["title"]: arm for arm in document["confirmed"]["baselines"]}
    own = f"hand-tuned, recipe of trial {document['trial_id']}"
    assert list(baselines) == [own, "hand-tuned LeNet-5", "plain LeNet-5", "MLP"]
    assert baselines[own]["searched_recipe"] == ["learning_rate"]
    assert baselines["hand-tuned LeNet-5"]["searched_recipe"] == []
    text = call("best made").out
    assert document["confirmed"]["verdict"]["text"] in text
    for title, arm in baselines.items():
        assert re.search(rf"{title} +{100 * arm['test_accuracy_mean']:.2f} %", text)
    wins = ", ".join(rf"{title} by \d\.\d\d" for title in list(baselines)[1:])
    pattern = rf"\nTrial {document['trial_id']} beats {wins} points\."
    assert re.search(pattern, text)
    mean = document["confirmed"]["test_accuracy_mean"]
    (listed,) = call("list --json").document["sweeps"]
    assert listed["test_accuracy_mean"] == pytest.approx(mean)
    assert f"  {100 * mean:.2f} %\n" in call("list").out
    fixed = "elastic 0.03, label smoothing 0.03"
    values = f"dropout 0.25, rotation 10°, shift 0.05, weight decay 0.001, {fixed}"
    searched = f"the learning rate that the search chose for trial {document['trial_id']}"
    assert f"{own}: {values}; {searched}\n" in text


def test_trials_as_text_are_one_row_each(call, add_sweep, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")  # outside of a terminal a table has any width
    add_sweep("made", n_trials=12, n_running=1)
    documents = call("trials --json").document["trials"]
    state, header, *rows, note = words(call("trials").out)
    assert " ".join(state) == "sweep made: interrupted, 11 of 12 trials ended"
    assert " ".join(note).startswith("best first: highest mean validation accuracy of the last")
    names = ["dropout", "rotation", "shift", "weight_decay"]
    assert header == ["trial", "state", "epochs", "validation", "time", *names]
    for row, document in zip(rows, documents, strict=True):
        state = document["state"].lower().replace("running", "interrupted")
        epochs = f"{document['epochs']}/15"
        percent = f"{100 * document['val_accuracy']:.2f}"
        assert row[:4] == [str(document["trial_id"]), state, epochs, percent]


def test_trials_fit_a_terminal_of_80_columns(call, add_sweep, monkeypatch):
    add_sweep("made", n_trials=4, decaying=True)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "80")
    out = call("trials").out
    _, above, heading, *rows, _, _ = words(out)
    assert above == ["weight", "learning"]
    assert heading[-2:] == ["decay", "rate"]
    assert len(rows) == 4
    lines = re.sub("\x1b\\[[0-9;]*m", "", out).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80


def test_csv_is_the_same_table(call, add_sweep, tmp_path):
    add_sweep("made", n_trials=15, failure_rate=0.3, n_running=1)
    both = call("trials --json --csv", tmp_path / "trials.csv")
    documents = both.document["trials"]
    text = (tmp_path / "trials.csv").read_text()
    to_stdout = call("trials --csv -")
    assert (to_stdout.exit_code, to_stdout.out) == (0, text)
    rows = list(csv.DictReader(io.StringIO(text)))
    names = list(documents[0]["hyperparameters"])
    first, counts = ["trial_id", "state", "origin"], ["epochs", "planned_epochs", "preview"]
    last = ["repeats", "val_accuracy", "seconds", "reason"]
    assert list(rows[0]) == [*first, *names, *counts, *last]
    for row, document in zip(rows, documents, strict=True):
        assert (row["state"], row["origin"]) == (document["state"], document["origin"])
        assert {n: float(row[n]) for n in names} == document["hyperparameters"]
        accuracy = document["val_accuracy"]
        assert row["val_accuracy"] == ("" if accuracy is None else str(accuracy))


def test_list_shows_every_sweep_newest_first(call, add_sweep, tmp_path):
    assert "start one with `sweep run`" in call("list").out
    assert call("list --json").document == {"sweeps": []}
    older = add_sweep("older", n_trials=6, n_running=2)
    newer = add_sweep("newer", n_trials=8, scheduler="none", failure_rate=0)
    later = newer.read("ledger.jsonl").replace(b"1800000000.0", b"1800000900.0", 1)
    newer.write("ledger.jsonl", later)
    assert call("best --json").document["sweep"] == "newer"  # the default
    storage = LocalFolder(tmp_path / "storage")
    storage.child("damaged").write("ledger.jsonl", older.read("ledger.jsonl") + b"{}\n")
    storage.child("unreadable").write("ledger.jsonl", b"{}\n")
    storage.child("begun").write("config.yaml", b"trials: 3\n")  # no sweep yet
    documents = call("list --json").document["sweeps"]
    names = ["newer", "damaged", "older", "unreadable"]
    assert [document["sweep"] for document in documents] == names
    best = call("best newer --json").document
    status = call("status newer --json").document
    assert documents[0] == status | {"finished": True, "test_accuracy_mean": None}
    assert (status["best_trial_id"], status["started"]) == (best["trial_id"], 1_800_000_900.0)
    assert (documents[2]["trials_ended"], documents[2]["finished"]) == (4, False)
    assert documents[2]["state"] == "interrupted"
    with older.lock():
        assert call("list --json").document["sweeps"][2]["state"] == "running"
    for document in (documents[1], documents[3]):
        assert set(document) == {"sweep", "error"}
        assert "ledger.jsonl:" in document["error"]
    header, *rows = words(call("list").out)
    assert header == ["state", "sweep", "started", "trials", "search", "validation", "test"]
    assert [row[1] for row in rows[:4]] == names
    assert [row[0] for row in rows[:4]] == ["finished", "damaged", "interrupted", "damaged"]
    assert rows[0][-3:] == [f"{100 * best['val_accuracy']:.2f}", "%", "–"]
    assert [" ".join(row[:3]) for row in rows[4:]] == [
        "damaged is damaged:",
        "unreadable is damaged:",
    ]


@pytest.mark.parametrize(
    ("file", "end"),
    [
        ("ledger.jsonl", b'{"kind": "epo'),
        ("ledger.jsonl", b"\0\0\n\xff\n\n"),
        ("confirm.jsonl", b'{"kind": "run_e'),
    ],
)
def test_damaged_end_of_a_file_is_ignored_with_a_warning(file, end, call, add_sweep):
    folder = add_sweep("made", n_trials=3)
    synthetic.write_confirmed(folder, read_ledger(folder), n_seeds=2, predictions=False)
    before = call("best").out
    folder.write(file, folder.read(file) + end)
    outcome = call("best")
    assert outcome.out == before
    assert outcome.err == f"warning: the damaged end of {folder}/{file} is ignored\n"


def test_status_counts_the_trials(call, add_sweep):
    folder = add_sweep("made", n_trials=20, n_running=2, failure_rate=0.2)
    trials = call("trials --json").document["trials"]
    states = [trial["state"] for trial in trials]
    assert states.count("FAILED") > 0
    document, best = (call(name, "--json").document for name in ("status", "best"))
    assert document == {
        "sweep": "made",
        "dataset": "mnist",
        "model": "lenet5",
        "state": "interrupted",
        "at_work": False,
        "started": 1_800_000_000.0,
        "trials": 20,
        "planned": 20,
        "trials_ended": 18,
        "complete": states.count("COMPLETE"),
        "previews": 0,
        "stopped": states.count("STOPPED"),
        "failed": states.count("FAILED"),
        "running": 2,
        "epochs": sum(trial["epochs"] for trial in trials),
        "elapsed_s": document["elapsed_s"],
        "best_trial_id": best["trial_id"],
        "best_val_accuracy": best["val_accuracy"],
    }
    out = call("status").out
    records = [json.loads(line) for line in folder.read("ledger.jsonl").splitlines()]
    # No driver is at work and none has recorded an end, as after SIGKILL.
    spent = records[-1]["time"] - records[1]["time"]
    assert document["elapsed_s"] == pytest.approx(spent, abs=0.001)
    assert f"{duration(spent)} elapsed" in out
    assert " left" not in out
    assert " 2 interrupted " in out
    lines = words(out)
    assert " ".join(lines[0]) == "sweep made: interrupted, 18 of 20 trials ended"
    assert lines[2][0] == str(document["complete"])
    assert " ".join(lines[-1]) == "continue with: sweep resume made"
    with folder.lock():
        document = call("status --json").document
        assert (document["state"], document["at_work"]) == ("running", True)
        assert "continue with" not in call("status").out
    add_sweep("ended", n_trials=2)
    assert call("status ended --json").document["state"] == "finished"
    assert call("status ended").out.startswith("sweep ended: finished\n")


def test_status_follows_a_search_and_its_confirmation_until_they_end(call, add_sweep, monkeypatch):
    folder = add_sweep("made", n_trials=6)
    ledger = read_ledger(folder)
    assert call("status").out.startswith("sweep made: finished\n")
    begun = [*synthetic.confirmation_records(ledger, 5, 1, "")][:-3]
    arms = tuple(record.arm for record in begun if isinstance(record, Arm))
    begun.insert(1, Plan(begun[0].time, 1, 5, None, arms))

    def confirm() -> None:
        folder.write("confirm.jsonl", b"".join(map(encode_record, begun)))

    with ExitStack() as stack:
        steps = iter([confirm, lambda: None, stack.close])
        monkeypatch.setattr("time.sleep", lambda seconds: next(steps)())
        stack.enter_context(folder.lock())
        outcome = call("status made --follow")
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert "confirming: 14/15 runs" in outcome.out
    assert "sweep made: search finished, confirmation interrupted\n" in outcome.out
    assert "continue with: sweep resume made" in outcome.out
    assert call("status --json").document["state"] == "interrupted"
    with folder.lock():
        assert call("status --json").document["state"] == "running"
    begun[:] = synthetic.confirmation_records(ledger, 5, 1, "")
    begun += [LookTaken(begun[-1].time, 5, 5)]
    begun.insert(1, Plan(begun[0].time, 1, 5, None))
    confirm()
    assert call("list --json").document["sweeps"][0]["state"] == "finished"


def test_status_as_json_waits_for_the_end_too(call, add_sweep, monkeypatch):
    folder = add_sweep("made", n_trials=3)
    with ExitStack() as stack:
        stack.enter_context(folder.lock())
        monkeypatch.setattr("time.sleep", lambda seconds: stack.close())
        assert call("status --follow --json").document["state"] == "finished"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_sweep_that_is_deleted_while_it_is_followed_ends_in_a_line(
    form, call, add_sweep, monkeypatch
):
    folder = add_sweep("made", n_trials=3)
    with ExitStack() as stack:
        stack.enter_context(folder.lock())

        def delete(seconds: float) -> None:
            shutil.rmtree(folder.path)
            stack.close()

        monkeypatch.setattr("time.sleep", delete)
        outcome = call("status made --follow", *form)
    assert (outcome.exit_code, len(outcome.err.splitlines())) == (2, 1)


def test_sweep_that_is_deleted_while_it_is_listed_is_left_out(call, add_sweep, monkeypatch):
    gone = add_sweep("gone", n_trials=1)
    add_sweep("made", n_trials=1)
    monkeypatch.setattr(
        "sweep.cli.tables.list_sweeps",
        lambda storage: [list_sweeps(storage), shutil.rmtree(gone.path)][0],
    )
    assert [found["sweep"] for found in call("list --json").document["sweeps"]] == ["made"]


def test_storage_comes_from_the_environment_or_the_option(call, add_sweep, tmp_path, monkeypatch):
    add_sweep("made", n_trials=3)
    assert call("best").exit_code == 0
    assert call("best --storage", tmp_path / "elsewhere").exit_code == 2
    monkeypatch.delenv("SWEEP_STORAGE")
    (tmp_path / "storage").rename(tmp_path / "runs")
    assert call("best").exit_code == 0


def test_sweep_is_deleted(call, add_sweep, tmp_path, monkeypatch):
    folder = add_sweep("made", n_trials=2)
    add_sweep("kept", n_trials=2)
    refused = call("delete made")
    assert refused.exit_code == 2
    assert re.fullmatch(
        r"error: to delete .*made \(2 trials, \d+ epochs\), add --yes\n", refused.err
    )
    for wrong in ("mad", "..", "../storage", ".", "made/checkpoints"):
        outcome = call(f"delete {wrong} --yes")
        assert (outcome.exit_code, outcome.out) == (2, ""), wrong
    assert "did you mean made?" in call("delete mad --yes").err
    with folder.lock():
        running = call("delete made --yes")
    assert running.exit_code == 4
    assert "watch it with: sweep status --follow made" in running.err

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, text in (("n", "nothing was deleted\n"), ("y", f"deleted {folder}\n")):
        monkeypatch.setattr("typer.confirm", lambda *_, answer=answer, **__: answer == "y")
        assert call("delete made").out == text
    assert [path.name for path in (tmp_path / "storage").iterdir()] == ["kept"]
    assert call("delete made --yes").exit_code == 2


def test_only_a_folder_of_a_sweep_is_deleted(call, tmp_path):
    folder = tmp_path / "storage/mine"
    (folder / "plots").mkdir(parents=True)
    for name in ("config.yaml", "plots/a.png"):
        (folder / name).write_text("precious")
    assert call("delete mine --yes").exit_code == 2
    assert (folder / "plots/a.png").exists()
    (folder / "environment.json").write_text("{}")  # now it is a sweep that did not start
    assert call("delete mine --yes").exit_code == 0
    assert not folder.exists()


@pytest.mark.parametrize(
    ("ledger", "described"),
    [
        (b"damage\n{}\n", "its ledger is damaged"),
        (b"", "what is left of a sweep"),  # by an interrupted deletion
    ],
)
def test_sweep_without_a_readable_ledger_can_be_deleted(ledger, described, call, add_sweep):
    folder = add_sweep("made", n_trials=2)
    folder.write("checkpoints/trial-0001.pt", b"old")
    folder.write("ledger.jsonl", ledger)
    assert f"({described})" in call("delete made").err
    assert call("delete made --yes").exit_code == 0
    assert not folder.path.exists()
