import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.records.ledger import LedgerWriter, SessionEnded, read_ledger
from analysis.storage.folder import Folder, LocalFolder

Call = Callable[..., Any]
AddSweep = Callable[..., Folder]
Words = Callable[[str], list[list[str]]]


def _recompute(folder: Folder) -> list[dict[str, Any]]:
    """What `trials` should say, from the ledger's lines and the rule in the documentation."""
    records = [json.loads(line) for line in folder.read("ledger.jsonl").splitlines()]
    config = records[0]["config"]
    trials: dict[int, dict[str, Any]] = {}
    for record in records:
        if record["kind"] == "trial_started":
            trials[record["trial_id"]] = {
                "trial_id": record["trial_id"],
                "state": "RUNNING",
                "hyperparameters": record["hyperparameters"],
                "curve": [],
                "seconds": 0.0,
            }
        elif record["kind"] == "epoch":
            trials[record["trial_id"]]["curve"].append(record["val_accuracy"])
            trials[record["trial_id"]]["seconds"] += record["seconds"]
        elif record["kind"] == "trial_ended":
            trials[record["trial_id"]]["state"] = record["state"]
    is_constant = config["recipe"]["schedule"] == "constant"
    for trial in trials.values():
        curve = trial.pop("curve")
        trial["epochs"] = len(curve)
        last = curve[-3:] if is_constant and trial["state"] == "COMPLETE" else curve[-1:]
        trial["val_accuracy"] = sum(last) / len(last) if last else None
    return list(trials.values())


def _require_as_recomputed(shown: list[dict[str, Any]], folder: Folder) -> None:
    """That `trials --json` shows the ledger's trials, the best of the complete ones first."""
    expected = {trial["trial_id"]: trial for trial in _recompute(folder)}
    assert sorted(document["trial_id"] for document in shown) == sorted(expected)
    for document in shown:
        trial = expected[document["trial_id"]]
        for name in ("state", "hyperparameters", "epochs"):
            assert document[name] == trial[name]
        assert document["val_accuracy"] == pytest.approx(trial["val_accuracy"], abs=1e-12)
        assert document["seconds"] == pytest.approx(trial["seconds"], abs=6e-4)
        assert set(document) == set(trial)
    complete = [trial for trial in expected.values() if trial["state"] == "COMPLETE"]
    complete.sort(key=lambda trial: (-trial["val_accuracy"], trial["trial_id"]))
    first = [document["trial_id"] for document in shown[: len(complete)]]
    assert first == [trial["trial_id"] for trial in complete]


@pytest.mark.parametrize(
    "search",
    [
        {"n_trials": 30, "failure_rate": 0.1, "n_running": 2},
        {"n_trials": 20, "decaying": True, "scheduler": "none"},
        {"n_trials": 5, "epochs": 2, "n_running": 5},
    ],
    ids=["asha", "decaying", "begun"],
)
def test_trials_are_the_ledgers(search: dict[str, Any], call: Call, add_sweep: AddSweep) -> None:
    folder = add_sweep("made", **search)
    outcome = call("trials", "made", "--json")
    assert (outcome.exit_code, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert list(document) == ["trials"]
    _require_as_recomputed(document["trials"], folder)


def test_real_trials_are_the_ledgers(call: Call, real_sweep: Any) -> None:
    outcome = call("trials", "--json", "--storage", real_sweep.driver.storage)
    trials = json.loads(outcome.out)["trials"]
    assert len(trials) == 2
    _require_as_recomputed(trials, real_sweep.folder)


def test_best_is_the_first_of_the_trials(call: Call, real_sweep: Any) -> None:
    storage = ("--storage", real_sweep.driver.storage)
    (first, _) = json.loads(call("trials", "--json", *storage).out)["trials"]
    outcome = call("best", "--json", *storage)
    assert json.loads(outcome.out) == {
        "sweep": "real",
        "trial_id": first["trial_id"],
        "hyperparameters": first["hyperparameters"],
        "val_accuracy": first["val_accuracy"],
        "epoch": 1,
        "selection": "highest validation accuracy of the last epoch, among trials that ran "
        "their epoch",
        "checkpoint": f"{real_sweep.folder}/checkpoints/trial-{first['trial_id']:04d}.pt",
    }
    assert json.loads(outcome.out) == json.loads(real_sweep.outcome.out)
    assert Path(json.loads(outcome.out)["checkpoint"]).is_file()


def test_best_for_people_says_the_same(
    call: Call, add_sweep: AddSweep, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")  # narrower than its longest line, which is not broken
    add_sweep("made", n_trials=12, epochs=5)
    document = json.loads(call("best", "--json").out)
    lines = words(call("best").out)
    percent = f"{100 * document['val_accuracy']:.2f}"
    assert (
        lines[0]
        == (
            f"best of made: trial {document['trial_id']}, {percent} % on the validation images"
        ).split()
    )
    assert [line[0] for line in lines[1:]] == [
        "dropout",
        "rotation",
        "shift",
        "weight_decay",
        "rule",
        "checkpoint",
        "test",
    ]
    assert lines[1][1] == f"{document['hyperparameters']['dropout']:.3g}"
    assert lines[2][1].endswith("°")
    assert lines[5][1:] == document["selection"].split()
    assert lines[6][1:] == ["none"]


def test_trials_for_people_are_a_row_each(
    call: Call, add_sweep: AddSweep, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # no terminal: a table is as wide as it wants to be
    add_sweep("made", n_trials=12, n_running=1)
    documents = json.loads(call("trials", "--json").out)["trials"]
    header, *rows = words(call("trials").out)
    assert header[:5] == ["trial", "state", "epochs", "validation", "time"]
    assert header[5:] == ["dropout", "rotation", "shift", "weight_decay"]
    assert len(rows) == 12
    for row, document in zip(rows, documents, strict=True):
        assert row[:3] == [
            str(document["trial_id"]),
            document["state"].lower(),
            f"{document['epochs']}/15",
        ]
        assert row[3] == f"{100 * document['val_accuracy']:.2f}"


def test_top_shows_only_the_best(call: Call, add_sweep: AddSweep) -> None:
    add_sweep("made", n_trials=12)
    everything = json.loads(call("trials", "--json").out)["trials"]
    for n in (1, 3, 100):
        assert json.loads(call("trials", "--json", "--top", n).out)["trials"] == everything[:n]


def test_trials_fit_a_terminal_of_80_columns(
    call: Call, add_sweep: AddSweep, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_sweep("made", n_trials=4, decaying=True)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "80")
    out = call("trials").out
    above, heading, *rows = words(out)
    assert above == ["weight", "learning"]
    assert heading[-2:] == ["decay", "rate"]
    assert len(rows) == 4
    lines = re.sub("\x1b\\[[0-9;]*m", "", out).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80


def test_csv_is_the_same_table(call: Call, add_sweep: AddSweep, tmp_path: Path) -> None:
    add_sweep("made", n_trials=15, failure_rate=0.3, n_running=1)
    documents = json.loads(call("trials", "--json").out)["trials"]
    to_file = call("trials", "--csv", tmp_path / "trials.csv")
    assert (to_file.exit_code, to_file.out, to_file.err) == (0, "", "")
    text = (tmp_path / "trials.csv").read_text()
    to_stdout = call("trials", "--csv", "-")
    assert (to_stdout.exit_code, to_stdout.out) == (0, text)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 15
    for row, document in zip(rows, documents, strict=True):
        assert list(row) == [
            "trial_id",
            "state",
            *document["hyperparameters"],
            "epochs",
            "val_accuracy",
            "seconds",
            "reason",
        ]
        assert row["state"] == document["state"]
        for name, value in document["hyperparameters"].items():
            assert float(row[name]) == value
        accuracy = document["val_accuracy"]
        assert row["val_accuracy"] == ("" if accuracy is None else str(accuracy))


def test_csv_and_json_together(call: Call, add_sweep: AddSweep, tmp_path: Path) -> None:
    add_sweep("made", n_trials=4)
    outcome = call("trials", "--json", "--csv", tmp_path / "trials.csv")
    assert len(json.loads(outcome.out)["trials"]) == 4
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 5


def test_list_shows_every_sweep_newest_first(
    call: Call, add_sweep: AddSweep, tmp_path: Path, words: Words
) -> None:
    older = add_sweep("older", n_trials=6, n_running=2)
    newer = add_sweep("newer", n_trials=8, scheduler="none", failure_rate=0)
    later = newer.read("ledger.jsonl").replace(b'"time": 1800000000.0', b'"time": 1800000900.0')
    newer.write("ledger.jsonl", later)
    storage = LocalFolder(tmp_path / "storage")
    storage.child("damaged").write("ledger.jsonl", older.read("ledger.jsonl") + b"{}\n")
    storage.child("unreadable").write("ledger.jsonl", b"{}\n")
    storage.child("begun").write("config.yaml", b"trials: 3\n")  # no sweep yet
    documents = json.loads(call("list", "--json").out)["sweeps"]
    assert [document["sweep"] for document in documents] == [
        "newer",
        "damaged",
        "older",
        "unreadable",
    ]
    best = json.loads(call("best", "newer", "--json").out)
    assert documents[0] == {
        "sweep": "newer",
        "started": 1_800_000_900.0,
        "trials": 8,
        "trials_ended": 8,
        "finished": True,
        "best_trial_id": best["trial_id"],
        "best_val_accuracy": best["val_accuracy"],
    }
    assert (documents[2]["trials_ended"], documents[2]["finished"]) == (4, False)
    for document in (documents[1], documents[3]):
        assert set(document) == {"sweep", "error"}
        assert "ledger.jsonl:" in document["error"]
    header, *rows = words(call("list").out)
    assert header == ["sweep", "started", "trials", "best", "validation"]
    assert [row[0] for row in rows] == ["newer", "damaged", "older", "unreadable"]
    assert rows[0][3:] == ["8/8", f"{100 * best['val_accuracy']:.2f}", "%"]
    assert rows[1][1] == "damaged:"


def test_list_of_nothing_says_what_to_do(call: Call) -> None:
    outcome = call("list")
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert "start one with `sweep run`" in outcome.out
    assert json.loads(call("list", "--json").out) == {"sweeps": []}


def test_name_left_out_is_the_newest_sweep(call: Call, add_sweep: AddSweep) -> None:
    add_sweep("a-newer", n_trials=3)
    folder = add_sweep("b-older", n_trials=3)
    earlier = folder.read("ledger.jsonl").replace(b'"time": 1800000000.0', b'"time": 17.0', 1)
    folder.write("ledger.jsonl", earlier)
    assert json.loads(call("best", "--json").out)["sweep"] == "a-newer"
    assert json.loads(call("best", "b-older", "--json").out)["sweep"] == "b-older"


def test_half_written_last_line_is_told_and_left_out(call: Call, add_sweep: AddSweep) -> None:
    folder = add_sweep("made", n_trials=3)
    whole = json.loads(call("trials", "--json").out)
    folder.write("ledger.jsonl", folder.read("ledger.jsonl") + b'{"kind": "epo')
    outcome = call("trials", "--json")
    assert json.loads(outcome.out) == whole
    assert outcome.err.startswith("warning: the last line of ")
    assert "is half written and was left out" in outcome.err


def test_status_counts(call: Call, add_sweep: AddSweep, words: Words) -> None:
    add_sweep("made", n_trials=20, n_running=2, failure_rate=0.2)
    trials = json.loads(call("trials", "--json").out)["trials"]
    states = [trial["state"] for trial in trials]
    best = json.loads(call("best", "--json").out)
    document = json.loads(call("status", "--json").out)
    assert document == {
        "sweep": "made",
        "at_work": False,
        "trials": 20,
        "complete": states.count("COMPLETE"),
        "stopped": states.count("STOPPED"),
        "failed": states.count("FAILED"),
        "running": 2,
        "epochs": sum(trial["epochs"] for trial in trials),
        "best_trial_id": best["trial_id"],
    }
    assert states.count("FAILED") > 0
    lines = words(call("status").out)
    assert lines[0] == ["sweep", "made"]
    assert lines[2][0] == str(document["complete"])
    assert lines[-1] == [
        "nobody",
        "is",
        "at",
        "work",
        "on",
        "it;",
        "go",
        "on",
        "with:",
        "sweep",
        "resume",
        "made",
    ]


def test_status_follows_one_sweep_until_it_ends(
    call: Call, add_sweep: AddSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = add_sweep("made", n_trials=6, n_running=2)

    def go_on(seconds: float) -> None:
        with LedgerWriter.reopen(folder) as writer:
            writer.append(SessionEnded(1_900_000_000.0, "finished"))

    monkeypatch.setattr("time.sleep", go_on)
    monkeypatch.setattr(LocalFolder, "is_locked", lambda folder: True)
    monkeypatch.setattr(LocalFolder, "folders", lambda folder: pytest.fail("lists them all"))
    outcome = call("status", "made", "--follow")
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert "sweep made" in outcome.out
    assert read_ledger(folder).ended == SessionEnded(1_900_000_000.0, "finished")


def test_storage_comes_from_the_environment_or_the_option(
    call: Call, add_sweep: AddSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_sweep("made", n_trials=3)
    assert call("best").exit_code == 0
    assert call("best", "--storage", tmp_path / "elsewhere").exit_code == 2
    monkeypatch.delenv("SWEEP_STORAGE")
    (tmp_path / "storage").rename(tmp_path / "runs")
    assert call("best").exit_code == 0
