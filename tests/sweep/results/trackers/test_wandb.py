"""Against W&B's files of offline mode. It takes a minute to install: where missing, skipped."""

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.storage.folder import Folder
from appending import append
from in_memory import trial_ended, trial_epoch

pytest.importorskip("wandb")
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a file of W&B: a log as LevelDB's, whose blocks have 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, parts = path.read_bytes(), 7, b""
    while position + 7 <= len(data):
        if (left := -position % 32768) in range(1, 7):  # padding
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # complete, or the last part
            yield Record.FromString(parts)
            parts = b""


def history(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            values = {
                item.key or item.nested_key[0]: json.loads(item.value_json) for item in items
            }
            yield record.history.step.num, values


def track(folder: Folder, out: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "sweep", "track", folder.name, "--to", "wandb", "--out", out],
        env=environment | {"SWEEP_STORAGE": folder.storage},
        cwd=out.parent,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=False,
    )


def test_second_mirror_adds_only_what_is_new_to_the_same_runs(
    make_sweep, clean_environment, tmp_path
):
    offline = clean_environment | {"WANDB_MODE": "offline"}
    folder, ledger = make_sweep(n_trials=2, n_running=1)
    out = tmp_path / "out"
    with folder.lock():
        found = track(folder, out, offline)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("2 runs of synthetic, 2 new: W&B group synthetic in project ")
    files = sorted(out.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 2
    by_name = {}
    for path in files:
        run, *changed = [
            one.run for one in records(path) if one.WhichOneof("record_type") == "run"
        ]
        assert run.run_group == "synthetic"
        assert [*changed[-1].tags] == []  # the sweep is running
        by_name[run.display_name] = path
        trial = ledger.trials[int(run.display_name.removeprefix("trial-"))]
        config = {item.key: item.value_json for item in run.config.update}
        assert json.loads(config["dropout"]) == trial.hyperparameters["dropout"]
        curve = [(step, values["val_accuracy"]) for step, values in history(path)]
        assert curve == [(epoch.epoch, epoch.val_accuracy) for epoch in trial.epochs]
    with folder.lock():
        assert track(folder, out, offline).returncode == 0
    assert sorted(out.glob("wandb/offline-run-*/run-*.wandb")) == files
    append(folder, trial_epoch(2, 3, 0.97), trial_ended(2, "STOPPED"))
    folder.write("report.html", b"the report")
    assert track(folder, out, offline).returncode == 0
    new, best = sorted(
        set(out.glob("wandb/offline-run-*/run-*.wandb")) - set(files),
        key=lambda path: path.name != by_name["trial-0002"].name,
    )
    assert (new.name, best.name) == (by_name["trial-0002"].name, by_name["trial-0001"].name)
    *_, run = [one.run for one in records(best) if one.WhichOneof("record_type") == "run"]
    assert (run.notes.endswith("Not confirmed."), [*run.tags]) == (True, ["best"])
    assert (best.parent / "files" / "sweep" / "report.html").read_bytes() == b"the report"
    assert [(step, values["val_accuracy"]) for step, values in history(new)] == [(3, 0.97)]


def test_login_and_the_server_are_needed_online(make_sweep, clean_environment, tmp_path):
    online = clean_environment | {"WANDB_MODE": "online", "HOME": str(tmp_path)}
    online |= {"WANDB_BASE_URL": "http://127.0.0.1:9"}
    folder, _ = make_sweep(n_trials=1)
    found = track(folder, tmp_path / "out", online)
    assert found.returncode == 2, found
    assert found.stderr.startswith("error: not logged in to W&B; type: wandb login")
    assert found.stderr.count("\n") == 1
    found = track(folder, tmp_path / "out", clean_environment | {"WANDB_MODE": "disabled"})
    assert found.returncode == 2
    assert found.stderr == "error: W&B is disabled; set WANDB_MODE to online or offline\n"
