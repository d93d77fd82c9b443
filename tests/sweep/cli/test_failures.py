import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder


@pytest.fixture
def surroundings(tmp_path: Path, add_sweep: Callable[..., Folder]) -> Path:
    """A folder with a storage of good and damaged sweeps, and with damaged files."""
    made = add_sweep("made", n_trials=6, epochs=4)
    add_sweep("young", n_trials=2, epochs=4, n_running=2)
    storage = LocalFolder(tmp_path / "storage")
    first, rest = made.read("ledger.jsonl").split(b"\n", 1)
    storage.child("damaged").write("ledger.jsonl", first + b"\ngarbage\n" + rest)
    storage.child("unreadable").write("ledger.jsonl", b"garbage\n")
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bad.yaml").write_text("trials: 8\nepoch: 3\n")
    (tmp_path / "raw").mkdir()  # called as torchvision's: nothing in it is replaced
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(b"not what it should be")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "exit_code", "says"),
    [
        ("run --preset best --config none.yaml", 2, "there is no config file none.yaml"),
        ("run --config bad.yaml", 2, "`epoch` is unknown; did you mean `epochs`? (bad.yaml:2)"),
        ("run --trials 0", 2, "`trials` must be at least 1, but got 0"),
        ("run --name a/b", 2, "but got 'a/b'"),
        ("run --name a\x1b[2Jb", 2, "but got 'a\\x1b[2Jb'"),
        ("run --name made", 2, "the sweep 'made' already exists in"),
        ("run --name damaged", 2, "the sweep 'damaged' already exists in "),
        ("run --resume --name damaged", 4, "damaged/ledger.jsonl:"),
        ("run --name unreadable", 4, "unreadable/ledger.jsonl:1"),
        ("run --storage file", 2, "file is a file"),
        ("run --storage file/below", 4, "choose another folder with --storage"),
        ("run --concurrency 100000", 2, "`--concurrency` must be at most"),
        ("run --data nowhere", 3, "download mnist: `sweep data --dataset mnist --data nowhere`"),
        ("run --data raw", 3, "raw/train-images-idx3-ubyte"),
        ("resume nowhere", 2, "there is no sweep 'nowhere' in"),
        ("resume made --trials 2 --accept-changes", 2, "`trials` must be at least 6"),
        ("resume made --trials 1000001", 2, "`trials` must be at most 1000000, but got 1000001"),
        ("resume made --trials 9 --accept-changes --data nowhere", 3, "nowhere does not exist"),
        ("confirm young", 5, "no trial of young has run all its epochs yet"),
        ("confirm made --seeds 1001", 2, "`seeds` must be at most 1000, but got 1001"),
        ("confirm made --top-k 0", 2, "`top_k` must be at least 1, but got 0"),
        ("confirm made --until-decided --max-seeds 3", 2, "`max_seeds` must be at least 4"),
        ("confirm made --seeds=--5", 2, "`--seeds` must be an integer, but got '--5'"),
        ("confirm made --top-k one", 2, "`--top-k` must be an integer, but got 'one'"),
        ("confirm made --data nowhere", 3, "nowhere does not exist"),
        ("confirm made --concurrency 100000", 2, "`--concurrency` must be at most"),
        ("best nowhere", 2, "; choose from "),
        ("best young", 5, "run all its epochs yet; see: sweep status young"),
        ("best damaged", 4, "damaged/ledger.jsonl:"),
        ("best unreadable", 4, "unreadable/ledger.jsonl:1 is not a record ('garbage')"),
        ("best made --json --storage file", 2, "file is a file"),
        ("trials made --csv file/below", 2, "cannot write file/below: Not a directory"),
        ("trials made --csv /dev/full", 4, "storage /dev/full: the disk is full"),
        ("trials made --csv - --json", 2, "choose one"),
        (f"trials made --csv {300 * 'x'}/y.csv", 2, "File name too long"),
        ("trials made --csv storage/made/ledger.jsonl", 2, "is a file of the sweep; choose anoth"),
        ("best --storage nowhere", 2, "nowhere, which does not exist; start one"),
        ("track made --to wandbb", 2, "there is no tracker 'wandbb'; did you mean `wandb`?"),
        ("list --storage ~nosuchuser/x", 2, "invalid `--storage` ~nosuchuser/x: "),
        (f"list --storage {300 * 'x'}", 2, "File name too long"),
        ("compare made", 2, "give two sweeps or more"),
        ("compare made made", 2, "each once"),
        ("compare made nowhere", 2, "there is no sweep 'nowhere'"),
        ("compare made young --out so-far.gif", 2, "ends in one of .png, .svg, .pdf"),
        ("compare made young --out file/below.png", 2, "cannot write file/below.png: Not a dir"),
        ("plot made --format gif", 2, "`--format`: 'gif' is not one of 'png', "),
        ("plot made --out file", 2, "invalid value for `--out`: "),
        ("preset fast", 2, "there is no preset `fast`"),
        ("predict made bad.yaml", 2, "bad.yaml is not a readable image"),
        (f"plot made --out {300 * 'x'}", 4, "File name too long"),
        (f"run {300 * 'x'}", 2, "takes no argument"),
        (f"predict {300 * 'x'}", 2, "File name too long"),
        ("predict", 2, "give an image file: sweep predict"),
        ("predict made ''", 2, "give an image file: sweep predict"),
        ("predict made pipe", 2, "pipe is not a file"),
        ("predict made", 2, "'made' is a sweep; give an image file, too"),
        ("predict mdae file", 2, "'mdae' is neither a sweep in "),
        ("predict young file", 5, "no trial of young has run all its epochs yet"),
        ("predict file --storage empty", 2, "there is no sweep in "),
        ("export made --out file", 4, "the checkpoint "),
        ("export young --out new", 5, "no trial of young has run all its epochs yet"),
        ("dashboard --port 65536", 2, "`--port` must be at most 65535, but got 65536"),
        ("data --data raw", 3, "Delete it, replace it with a good copy"),
        ("data --data file/below", 3, "cannot be written to (Not a directory)"),
    ],
)
def test_mistake_ends_in_a_line_or_two_and_makes_no_folder(
    command, exit_code, says, call, surroundings
):
    before = [*surroundings.iterdir(), *(surroundings / "storage").iterdir()]
    outcome = call(command)
    assert outcome.exit_code == exit_code, outcome
    assert outcome.out == ""
    assert says in outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("error: ")
    after = [*surroundings.iterdir(), *(surroundings / "storage").iterdir()]
    assert sorted(after) == sorted(before)


def test_resume_of_a_sweep_in_use_is_refused_first(call, add_sweep):
    folder = add_sweep("made", n_trials=6, n_running=2)
    with folder.lock():
        fewer = "run --resume --name made --trials 1"  # fewer than have started
        for command in ("resume made --accept-changes", "confirm made", fewer):
            outcome = call(command)
            assert outcome.exit_code == 4
            error, hint = outcome.err.splitlines()
            assert error.startswith("error: another process is ")
            assert f"process {os.getpid()} on " in error
            assert hint == "watch it with: sweep status --follow made"


def test_bug_shows_its_traceback_and_exits_with_1(tmp_path):
    code = """
from sweep.cli import tables
from sweep.__main__ import main
def explode(*_):
    raise OSError("a bug")
tables.list_documents = explode
main(["list"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"Traceback")
    assert done.stderr.endswith(b"OSError: a bug\n")


def test_sigint_while_the_process_ends_shows_no_traceback(tmp_path):
    code = """
import atexit, os, signal
from sweep.__main__ import main
atexit.register(os.kill, os.getpid(), signal.SIGINT)
main(["list"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")


HOSTILE = "a\x1b[2Jb [red]c[/red] :smile:"
SHOWN = r"a\x1b[2Jb [red]c[/red] :smile:"


def test_texts_from_a_ledger_are_printed_escaped(call, add_sweep, monkeypatch):
    folder = add_sweep("made", n_trials=6, failure_rate=1)
    ledger = folder.read("ledger.jsonl").decode()
    reason = re.compile(r'"reason": ?"diverged[^"]*"')
    text = reason.sub(lambda _: f'"reason": {json.dumps(HOSTILE)}', ledger)
    text = text.replace('"dropout"', json.dumps("drop\x1b[2Jout"))
    name = "[bold]x"
    LocalFolder(folder.path.with_name(name)).write("ledger.jsonl", text.encode())
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("list", f"status {name}", f"trials {name}", f"best {name}"):
        outcome = call(command)
        assert "\x1b[2J" not in outcome.out + outcome.err
        assert name in outcome.out + outcome.err or command == f"trials {name}"
    assert SHOWN in outcome.err + outcome.out


@pytest.mark.parametrize(
    ("line", "exit_code", "says"),
    [
        ("sweep trials >&-", 0, ""),
        ("sweep trials <&- >&- 2>&-", 0, ""),
        ("sweep trials >/dev/full", 1, "error: cannot write the output: No space left on device"),
        ("PYTHONIOENCODING=ascii sweep trials | grep '?' >/dev/null", 0, ""),  # for a degree sign
        ("sweep list | true", 1, ""),  # a reader that goes away, as `head` does
        ("PYTHONUNBUFFERED=1 sweep trials --csv - | true", 1, ""),
        ("sweep best --help | true", 1, ""),
    ],
)
def test_command_copes_with_its_standard_streams(line, exit_code, says, add_sweep):
    storage = add_sweep("made", n_trials=4).storage
    run = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("sweep", f"{sys.executable} -m sweep")],
        env=os.environ | {"SWEEP_STORAGE": storage},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr.strip(), run.stdout) == (exit_code, says, "")


def test_network_that_imports_a_file_of_the_current_folder_is_refused(tmp_path):
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "net.py").write_text("import beside\n")
    command = [sys.executable, "-m", "sweep", "run", "--dry-run", "--set", "model=net.py:Net"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert "net.py:1: it cannot be imported: ModuleNotFoundError: No module" in run.stderr
    assert "'beside'" in run.stderr
