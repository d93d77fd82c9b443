"""`dashboard` and `track --follow`, which follow a sweep until Ctrl-C."""

import contextlib
import http.client
import json
import re
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from appending import append
from in_memory import trial_ended
from waiting import wait_until


@pytest.fixture
def start(start_driver: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Start a command on the sweeps of `add_sweep`, which Ctrl-C ends."""

    def ignore_no_signal() -> None:
        # A shell that runs tests in the background makes them ignore SIGINT.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return partial(start_driver, storage=tmp_path / "storage", preexec_fn=ignore_no_signal)


def get(port: str, path: str, method: str = "GET") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        is_json = response.headers["Content-Type"].startswith("application/json")
        return response.status, json.load(response) if is_json else response.read()


def test_dashboard_shows_a_sweep_and_follows_it(make_sweep, start):
    folder, ledger = make_sweep(n_trials=8, n_running=1)
    make_sweep(n_trials=24, name="other", scheduler="none")
    driver = start("dashboard", "synthetic", "other", "--port", "0")
    line = driver.process.stdout.readline()
    match = re.search(r"http://127\.0\.0\.1:(\d+)(/dashboard/studies/0)", line)
    assert match is not None, line
    port, page = match.groups()
    assert get(port, page)[0] == 200
    study = get(port, "/api/studies/0")[1]
    assert (study["name"], study["directions"]) == ("synthetic", ["maximize"])
    assert study["objective_names"] == ["validation accuracy"]
    names = {"COMPLETE": "Complete", "STOPPED": "Pruned", "FAILED": "Fail"}
    *ended, last = study["trials"]
    expected = [names[trial.state] for trial in [*ledger.trials.values()][:-1]]
    assert [trial["state"] for trial in ended] == expected
    assert last["state"] == "Waiting"
    other = get(port, "/api/studies/1")[1]
    assert (other["name"], len(other["trials"])) == ("other", 24)
    append(folder, trial_ended(8, "STOPPED"))
    wait_until(lambda: get(port, "/api/studies/0")[1]["trials"][-1]["state"] == "Pruned", 10)
    # Eight trials are too few.
    status, answer = get(port, "/api/studies/0/param_importances")
    assert (status, "not shown:" in answer["param_importances"][0][0]["name"]) == (200, True)
    _, answer = get(port, "/api/studies/1/param_importances")
    assert len(answer["param_importances"][0]) == 4
    status, answer = get(port, "/api/studies/0", "DELETE")
    assert (status, "cannot change it" in answer["reason"]) == (405, True)
    assert get(port, "/api/studies/0")[0] == 200
    driver.process.send_signal(signal.SIGINT)
    outcome = driver.wait(20)
    assert (outcome.exit_code, outcome.out) == (130, "")
    note = f"http://127.0.0.1:{port}{page}/note"
    assert outcome.err == f"verdict, and how to read the plots: {note}\n"


def test_track_follows_a_sweep_until_ctrl_c(make_sweep, start):
    folder, _ = make_sweep(n_trials=1, n_running=1)
    with folder.lock():
        driver = start("track", "--to", "tensorboard", "--follow")
        events = driver.temporary / "runs-tensorboard/synthetic/trial-0001"
        wait_until(lambda: [*events.glob("events*")], 120, process=driver.process)
        driver.process.send_signal(signal.SIGINT)
        driver.ends(130)
