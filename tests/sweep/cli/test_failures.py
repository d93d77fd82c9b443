import gzip
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.errors import LedgerError, StorageError
from analysis.storage.folder import Folder, LocalFolder
from data_utils.errors import DataError
from sweep.cli.failures import describe_failure
from sweep.errors import ClusterError, NoTrialError, UsageError

Call = Callable[..., Any]
AddSweep = Callable[..., Folder]


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (UsageError("why"), 2, "why"),
        (DataError("why"), 3, "why"),
        (ClusterError("why"), 4, "why"),
        (StorageError("why"), 4, "why"),
        (LedgerError("why"), 4, "why"),
        (NoTrialError("why"), 5, "why"),
        (
            StorageError(28, "No space left on device", "/a/b"),
            4,
            "storage /a/b: the disk is full, make room there",
        ),
        (
            StorageError(13, "Permission denied", "/a/b"),
            4,
            "storage /a/b: Permission denied",
        ),
    ],
    ids=repr,
)
def test_failure_has_its_exit_code_and_a_line(
    error: Exception, exit_code: int, message: str
) -> None:
    failure = describe_failure(error)
    assert failure is not None
    assert (failure.exit_code, failure.message) == (exit_code, message)


def test_failure_tells_what_was_noted_of_it() -> None:
    error = ClusterError("why")
    error.add_note("go on like this")
    failure = describe_failure(error)
    assert failure is not None
    assert failure.message == "why\ngo on like this"


@pytest.mark.parametrize("error", [ValueError("why"), KeyError("why"), RuntimeError("why")])
def test_what_no_user_can_have_caused_is_no_failure(error: Exception) -> None:
    assert describe_failure(error) is None


@pytest.fixture
def surroundings(tmp_path: Path, add_sweep: AddSweep) -> Path:
    """A storage with good and bad sweeps, and files that are not what they should be."""
    made = add_sweep("made", n_trials=6, epochs=4)
    add_sweep("young", n_trials=2, epochs=4, n_running=2)
    storage = LocalFolder(tmp_path / "storage")
    storage.child("damaged").write("ledger.jsonl", made.read("ledger.jsonl") + b"garbage\n")
    storage.child("unreadable").write("ledger.jsonl", b"garbage\n")
    (tmp_path / "file").write_text("")
    (tmp_path / "bad.yaml").write_text("trials: 8\nepoch: 3\n")
    (tmp_path / "raw").mkdir()  # called as torchvision's: nothing in it is replaced
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(b"not what it should be")
    for name, config in {
        "broken": b"epochs: [1\ntrials: 2\n",
        "list": b"- trials: 8\n",
        "binary": bytes(range(256)),
        "deep": b"[" * 100_000,
        "tagged": b"trials: !!python/object/apply:os.abort []\n",
    }.items():
        (tmp_path / f"{name}.yaml").write_bytes(config)
    labels = bytes.fromhex("00000801 0000ea60") + bytes(60_000)
    for name, data in {
        "other": labels,
        "cut": gzip.compress(labels)[:-20],
    }.items():
        folder = tmp_path / name / "raw"
        folder.mkdir(parents=True)
        ending = ".gz" if name == "cut" else ""
        (folder / f"train-labels-idx1-ubyte{ending}").write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "exit_code", "says"),
    [
        ("--no-such-option", 2, "--no-such-option"),
        ("no-such-command", 2, "no-such-command"),
        ("run --preset fast", 2, "there is no preset `fast`"),
        ("run --preset best --config none.yaml", 2, "there is no config file none.yaml"),
        ("run --config bad.yaml", 2, "`epoch` is unknown; did you mean `epochs`? (bad.yaml:2)"),
        ("run --config broken.yaml", 2, "but got ':' (broken.yaml:2, column 7)"),
        ("run --config list.yaml", 2, "must be a mapping, such as `trials: 8`, but got a list"),
        ("run --config binary.yaml", 2, "a config must be text in UTF-8"),
        ("run --config deep.yaml", 2, "it is nested too deeply (deep.yaml:1"),
        ("run --config tagged.yaml", 2, "tags (!!python/object/apply:os.abort) are not"),
        ("run --set trails=8", 2, "did you mean `trials`? (--set trails=8)"),
        ("run --set trials", 2, "`--set` takes KEY=VALUE"),
        ("run --set recipe.momentum=2", 2, "`recipe.momentum` must be"),
        (
            "run --set 'space.shift={low: 0.2, high: 0.1}'",
            2,
            "must be above `low`, 0.2, but got 0.1",
        ),
        (
            "run --set 'space.shift={low: 0, high: 1, log: true}'",
            2,
            "`space.shift.low` must be above",
        ),
        ("run --set space.dropout.high=1.5", 2, "must be at least 0 and below 1, but got 1.5"),
        ("run --set space.rotation.high=181", 2, "between 0 and 180 degrees, but got 181"),
        ("run --set space.shift=[]", 2, "must have two choices or more, but got 0"),
        ("run --set recipe.batch_size=0", 2, "between 1 and 50,000 images, but got 0"),
        ("run --trials 0", 2, "`trials` must be between 1 and 1,000,000, but got 0"),
        ("run --epochs 0", 2, "`epochs` must be between 1 and 10,000, but got 0"),
        ("run --epochs many", 2, "--epochs"),
        ("run --seed -1", 2, "`seed` must be between 0"),
        ("run --name a/b", 2, "but got 'a/b'"),
        ("run --name ..", 2, "but got '..'"),
        ("run --name a\x1b[2Jb", 2, "but got 'a\\x1b[2Jb'"),
        (f"run --name {300 * 'x'}", 2, "a sweep's name must be 1 to 100 letters"),
        ("run --name .hidden", 2, "beginning with a letter or a digit"),
        ("run --name made", 2, "there is a sweep 'made' in"),
        ("run --name made", 2, "sweep resume made"),
        ("run --name damaged", 4, "damaged/ledger.jsonl:"),
        ("run --name unreadable", 4, "unreadable/ledger.jsonl:1"),
        ("run --storage file", 2, "file is a file"),
        ("run --storage file/below", 4, "`--storage` chooses another folder"),
        ("run --concurrency 0", 2, "--concurrency"),
        ("run --concurrency 100000", 2, "`--concurrency` must be at most"),
        ("run --set resources.cpu=1000", 2, "`resources.cpu` is 1000, but this machine has"),
        ("run --set resources.gpu=64", 2, "`resources.gpu` is 64, but this machine has"),
        ("run --data raw", 3, "raw/train-images-idx3-ubyte"),
        ("resume nowhere", 2, "there is no sweep 'nowhere' in"),
        ("resume made --trials 2", 2, "`trials` must be at least 6"),
        ("confirm nowhere", 2, "there is no sweep 'nowhere' in"),
        ("confirm young", 5, "no trial of young has run all its epochs yet"),
        ("confirm made --seeds 0", 2, "--seeds"),
        ("confirm made --concurrency 100000", 2, "`--concurrency` must be at most"),
        ("confirm made --data raw", 3, "raw/train-images-idx3-ubyte"),
        ("best nowhere", 2, "there is: "),
        ("best --storage empty", 2, "there is no sweep in"),
        ("best young", 5, "no trial of young has run all its epochs yet"),
        ("best damaged", 4, "damaged/ledger.jsonl:"),
        ("best unreadable", 4, "unreadable/ledger.jsonl:1 is not a record ('garbage')"),
        ("best made --json --storage file", 2, "file is a file"),
        ("trials nowhere", 2, "there is no sweep 'nowhere' in"),
        ("trials made --top 0", 2, "--top"),
        ("trials made --csv file/below", 2, "cannot write file/below: Not a directory"),
        ("trials made --csv - --json", 2, "choose one"),
        ("list --storage file", 2, "file is a file"),
        ("list --storage ~nosuchuser/x", 2, "`--storage` cannot be ~nosuchuser/x: "),
        ("status nowhere", 2, "there is no sweep 'nowhere' in"),
        ("plot nowhere", 2, "there is no sweep 'nowhere' in"),
        ("plot made --format gif", 2, "gif"),
        ("plot made --out file", 2, "`--out` must be a folder, but file is a file"),
        ("report nowhere", 2, "there is no sweep 'nowhere' in"),
        ("preset fast", 2, "there is no preset `fast`"),
        ("validate none.yaml", 2, "there is no config file none.yaml"),
        ("validate bad.yaml", 2, "`epoch` is unknown; did you mean `epochs`? (bad.yaml:2)"),
        ("predict made bad.yaml", 2, "bad.yaml is not an image that can be read"),
        ("data --data raw", 3, "Delete it, put a good copy in its place"),
        ("data --data other/raw", 3, "has the wrong SHA-256: expected 65a50cbbf4e906d7"),
        ("data --data cut/raw", 3, "is not a complete gzip file"),
        ("run --data nowhere", 3, "nowhere does not exist. `sweep data --data nowhere` creates"),
        ("data --data file/below", 3, "cannot be written to (Not a directory)"),
    ],
)
def test_mistake_ends_in_a_line_or_two(
    command: str, exit_code: int, says: str, call: Call, surroundings: Path
) -> None:
    outcome = call(*shlex.split(command))
    assert outcome.exit_code == exit_code, outcome
    assert outcome.out == ""
    assert says in outcome.err
    assert "Traceback" not in outcome.err
    lines = outcome.err.splitlines()
    assert len(lines) <= 5  # click repeats the usage
    if not lines[0].startswith("Usage: "):
        assert len(lines) == 1
        assert lines[0].startswith("error: ")


def test_mistake_begins_no_sweep(call: Call, surroundings: Path) -> None:
    for arguments in (["--concurrency", "100000"], ["--data", "raw"]):
        assert call("run", "--name", "new", *arguments).exit_code in (2, 3)
    listed = json.loads(call("list", "--json").out)
    assert "new" not in [document["sweep"] for document in listed["sweeps"]]
    # So the name is free.
    outcome = call("run", "--name", "new", "--data", "raw")
    assert outcome.exit_code == 3


def test_no_arguments_show_the_help(call: Call) -> None:
    outcome = call()
    assert "Usage: " in outcome.out + outcome.err
    for command in ("run", "resume", "confirm", "list", "trials", "best", "doctor"):
        assert f"  {command} " in outcome.out + outcome.err


def test_bug_shows_its_traceback_and_exits_with_1(tmp_path: Path) -> None:
    code = """
import sys
from sweep.cli import inspect, tables
def explode(*_):
    raise ZeroDivisionError("a bug")
tables.list_documents = explode
sys.argv = ["sweep", "list"]
from sweep.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: a bug\n")


@pytest.mark.parametrize("arguments", ["list", "trials made --csv -", "best --help"])
@pytest.mark.parametrize("is_buffered", [True, False])
def test_reader_that_goes_away_gets_no_complaint(
    arguments: str, is_buffered: bool, surroundings: Path, clean_environment: dict[str, str]
) -> None:
    ours, theirs = os.pipe()
    os.close(ours)  # as `head` does, once it has seen enough
    settings = {"SWEEP_STORAGE": "storage", "PYTHONUNBUFFERED": "" if is_buffered else "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sweep", *arguments.split()],
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            cwd=surroundings,
            env=clean_environment | settings,
            check=False,
        )
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_command_runs_without_its_standard_streams(closed: str, add_sweep: AddSweep) -> None:
    folder = add_sweep("made", n_trials=4)
    command = [sys.executable, "-m", "sweep", "trials", "--storage", folder.storage]
    run = subprocess.run(["sh", "-c", f"{shlex.join(command)} {closed}"], capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")


def test_command_prints_what_an_encoding_lacks_as_question_marks(add_sweep: AddSweep) -> None:
    folder = add_sweep("made", n_trials=4)
    command = [sys.executable, "-m", "sweep", "trials", "--storage", folder.storage]
    encoding = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run(command, capture_output=True, env=encoding)
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"?" in run.stdout  # for the degrees of a rotation
