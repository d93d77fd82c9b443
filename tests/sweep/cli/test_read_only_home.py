"""A home folder that cannot be written: everything works, or the message says what to do."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from data_utils.dataset import TrainTest
from data_utils.mnist import default_folder

# Root may write to any folder, but not to one that is mounted read-only.
_MOUNT = 'mount --bind "$HOME" "$HOME" && mount -o remount,bind,ro "$HOME" && exec "$@"'


@pytest.fixture
def homeless(tmp_path: Path, mnist: TrainTest) -> dict[str, Any]:
    """Options of `start_driver` for a read-only home, with MNIST in another folder."""
    home = tmp_path / "home"
    home.mkdir()
    within: tuple[str, ...] = ()
    if os.geteuid() == 0:
        within = ("unshare", "--mount", "sh", "-c", _MOUNT, "sh")
    else:
        home.chmod(0o555)
    settings = {"HOME": str(home), "SWEEP_DATA": str(default_folder())}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        settings[name] = ""  # is the same as not set
    attempt = [*within, "touch", str(home / "file")]
    environment = {**os.environ, **settings}
    done = subprocess.run(attempt, env=environment, capture_output=True, check=False)
    if not re.search(rb"Read-only file system|Permission denied", done.stderr):
        pytest.skip("cannot make a folder read-only")
    return {"within": within, "settings": settings}


@pytest.mark.long
def test_sweep_runs_and_draws_without_a_home(homeless, start_driver, brief):
    options = ("run", "--name", "mine", "--search-only", *brief, "--epochs", "1")
    outcome = start_driver(*options, "--json", **homeless).wait()
    assert outcome.exit_code == 0, outcome
    assert outcome.document["sweep"] == "mine"
    lines = outcome.err.splitlines()
    assert lines[0].startswith("sweep mine: 3 trials")
    begun = lines.index("2 at a time; starting Ray") + 1
    *progress, last = lines[begun:]
    assert all(" trials, " in line for line in progress)
    assert last == "drawing the plots and writing the report"


@pytest.mark.parametrize(
    "command", ["best", *(pytest.param(c, marks=pytest.mark.long) for c in ("plot", "doctor"))]
)
def test_command_is_quiet_without_a_home(command, homeless, start_driver, add_sweep):
    storage = add_sweep("made", n_trials=6, epochs=4).path.parent
    outcome = start_driver(command, storage=storage, **homeless).wait()
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert outcome.out


def test_data_without_a_home_asks_for_another_folder(homeless, start_driver):
    homeless["settings"]["SWEEP_DATA"] = ""
    outcome = start_driver("data", **homeless).wait()
    assert (outcome.exit_code, outcome.out) == (3, "")
    (line,) = outcome.err.splitlines()
    assert "/home/.cache/lenet-sweep/mnist cannot be written to" in line
