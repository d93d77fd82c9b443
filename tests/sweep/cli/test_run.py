"""`run`, `resume` and `confirm` with a driver that trains nothing."""

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import analysis.plots.gallery
import analysis.report.page
import sweep.cli.work
import sweep.driver.confirm
import sweep.driver.search
import sweep.driver.session
from analysis.errors import StorageError
from analysis.records.ledger import (
    DIVERGED,
    FORMAT,
    EpochRecord,
    Ledger,
    LedgerWriter,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)
from analysis.storage.folder import Folder, LocalFolder
from sweep.config import Confirm, SweepConfig
from sweep.driver.signals import Interrupted
from sweep.errors import ClusterError

Call = Callable[..., Any]
DATA = object()


class Pretended:
    """Stands in for the driver: notes what it should do, and writes trials to the ledger.

    Attributes:
        done: The calls, in order.
        failures: Reasons of the trials that fail.
        error: Raised in the middle of the search, of the confirmation and by the plots.
        begins: Whether the ledger exists by then.
        fetch: Called while the data is loaded.
    """

    def __init__(self, storage: Path) -> None:
        self.storage = LocalFolder(storage)
        self.done: list[tuple[Any, ...]] = []
        self.failures: dict[int, str] = {}
        self.error: BaseException | None = None
        self.drawing_error: BaseException | None = None
        self.begins = True
        self.fetch: Callable[[], None] = lambda: None

    def load_data(self, name: str, folder: Path | None) -> object:
        assert name == "mnist"
        self.fetch()
        return DATA

    @contextlib.contextmanager
    def open_session(self, resources: Any, folder: Folder, **options: Any) -> Iterator[Folder]:
        self.advise = options["advise"]
        self.done.append(("open", folder.name, options["address"], options["concurrency"]))
        yield folder

    def run_search(self, session: Folder, config: SweepConfig, *, name: str, data: Any) -> Ledger:
        assert data is DATA
        self.done.append(("search", name, config.trials, config.epochs))
        if not self.begins and self.error is not None:
            raise self.error
        plain = config.model_dump(mode="json")
        with LedgerWriter.open(session, SweepCreated(1.0, FORMAT, name, plain)) as writer:
            if self.error is not None:
                raise self.error
            for trial_id in range(len(writer.journal.trials) + 1, config.trials + 1):
                self._finish(writer, trial_id)
        return writer.journal

    def _finish(self, writer: LedgerWriter, trial_id: int) -> None:
        values = {"dropout": 0.1, "rotation": 5.0, "shift": 0.05, "weight_decay": 1e-4}
        writer.append(TrialStarted(1.0, trial_id, 0, values))
        if trial_id in self.failures:
            writer.append(TrialEnded(3.0, trial_id, "FAILED", self.failures[trial_id]))
            return
        for epoch in range(1, int(writer.journal.config["epochs"]) + 1):
            accuracy = 0.9 + trial_id / 100
            writer.append(EpochRecord(2.0, trial_id, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
        writer.append(TrialEnded(3.0, trial_id, "COMPLETE", None))

    def run_confirmation(
        self, session: Folder, config: SweepConfig, ledger: Ledger, *, plan: Confirm, data: Any
    ) -> None:
        assert data is DATA
        if self.error is not None:
            raise self.error
        self.done.append(("confirm", plan))

    def draw_all(self, folder: Folder, file_format: str) -> None:
        if self.drawing_error is not None:
            raise self.drawing_error
        self.done.append(("draw", folder.name, file_format))

    def write_report(self, folder: Folder) -> None:
        self.done.append(("report", folder.name))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretended:
    pretended = Pretended(tmp_path / "storage")
    for module, name in (
        (sweep.cli.work, "load_data"),
        (sweep.driver.session, "open_session"),
        (sweep.driver.search, "run_search"),
        (sweep.driver.confirm, "run_confirmation"),
        (analysis.plots.gallery, "draw_all"),
        (analysis.report.page, "write_report"),
    ):
        monkeypatch.setattr(module, name, getattr(pretended, name))
    return pretended


def test_run_searches_confirms_and_reports(call: Call, pretended: Pretended) -> None:
    options = ("--preset", "classic", "--name", "mine", "--trials", "3", "--epochs", "5")
    outcome = call("run", *options, "--concurrency", "1")
    assert outcome.exit_code == 0
    expected = "sweep mine: 3 trials of up to 5 epochs, 1 at a time; starting Ray"
    assert outcome.err.splitlines()[-1] == expected
    assert pretended.done == [
        ("open", "mine", None, 1),
        ("search", "mine", 3, 5),
        ("confirm", Confirm(top_k=1, seeds=5)),
        ("draw", "mine", "png"),
        ("report", "mine"),
    ]
    assert outcome.out.startswith("best of mine: trial 3, 93.00 % on the validation images")


def test_run_without_a_name_has_the_name_of_its_preset_and_the_time(
    call: Call, pretended: Pretended, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text("trials: 1\n")
    assert call("run", "--preset", "quick", "--trials", "1").exit_code == 0
    assert call("run", "--config", "own.yaml", "--search-only").exit_code == 0
    assert "confirm" not in [step[0] for step in pretended.done]
    names = sorted(pretended.storage.folders())
    assert [name.rpartition("-")[0].rpartition("-")[0] for name in names] == ["own", "quick"]


def test_run_with_a_failed_trial_ends_in_5_after_its_result(
    call: Call, pretended: Pretended
) -> None:
    pretended.failures[2] = "KeyError: 'x' (traceback in failures/trial-0002.txt)"
    outcome = call("run", "--name", "mine", "--trials", "3", "--search-only", "--json")
    assert outcome.exit_code == 5
    assert json.loads(outcome.out)["trial_id"] == 3
    assert outcome.err.splitlines()[-1] == (
        f"error: 1 trial of mine failed, trial 2: {pretended.failures[2]}"
    )


def test_run_with_a_diverged_trial_is_fine(call: Call, pretended: Pretended) -> None:
    pretended.failures[2] = f"{DIVERGED}: training loss became nan in epoch 2"
    outcome = call("run", "--name", "mine", "--trials", "3", "--search-only")
    assert outcome.exit_code == 0
    assert pretended.failures[2] in outcome.out


def test_run_in_which_all_trials_fail_ends_in_5(call: Call, pretended: Pretended) -> None:
    pretended.failures = dict.fromkeys((1, 2), f"{DIVERGED}: training loss became nan in epoch 1")
    outcome = call("run", "--name", "mine", "--trials", "2", "--json")
    assert (outcome.exit_code, outcome.out) == (5, "")
    assert pretended.done[-2:] == [("draw", "mine", "png"), ("report", "mine")]
    assert outcome.err.splitlines()[-1].startswith(
        "error: no trial of mine ran all its epochs: 2 of 2 failed, trial 1: diverged"
    )


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_says_how_to_continue(
    number: signal.Signals, exit_code: int, call: Call, pretended: Pretended
) -> None:
    pretended.error = Interrupted(number)
    outcome = call("run", "--name", "mine", "--json")
    assert (outcome.exit_code, outcome.out) == (exit_code, "")
    assert outcome.err.splitlines()[-1] == (
        "interrupted; every finished epoch is kept, continue with: sweep resume mine"
    )
    assert [step[0] for step in pretended.done] == ["open", "search"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StorageError("no space"), "no space"),
        (ClusterError("no node"), "no node"),
        (StorageError(30, "Read-only", "/a/b"), "storage /a/b: Read-only"),
    ],
)
@pytest.mark.parametrize(
    ("begins", "advice"),
    [
        (True, "every finished epoch is kept, continue with: sweep resume mine"),
        (False, "the sweep mine has not begun"),
    ],
)
def test_run_on_a_failing_machine_says_how_to_continue(
    error: Exception, message: str, begins: bool, advice: str, call: Call, pretended: Pretended
) -> None:
    error.__notes__ = []
    pretended.error, pretended.begins = error, begins
    outcome = call("run", "--name", "mine", "--json")
    assert (outcome.exit_code, outcome.out) == (4, "")
    assert outcome.err.splitlines()[-2:] == [f"error: {message}", advice]
    assert pretended.advise() == advice  # for the watchdog, which ends the process itself


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (StorageError(28, "full", "/plots/a.png"), 4, "error: storage /plots/a.png: the disk is"),
    ],
)
def test_run_whose_plots_fail_has_its_result_and_resume_draws_them(
    error: BaseException, exit_code: int, message: str, call: Call, pretended: Pretended
) -> None:
    pretended.drawing_error = error
    outcome = call("run", "--name", "mine", "--trials", "2", "--search-only", "--json")
    assert outcome.exit_code == exit_code
    assert json.loads(outcome.out)["trial_id"] == 2
    assert message in outcome.err
    assert "write its plots and report with: sweep plot mine; sweep report mine" in outcome.err
    pretended.drawing_error = None
    assert call("resume").exit_code == 0
    assert pretended.done[-2:] == [("draw", "mine", "png"), ("report", "mine")]


def test_run_with_resume_continues_only_with_the_same_config(
    call: Call, pretended: Pretended
) -> None:
    options = ("run", "--resume", "--name", "mine", "--search-only")
    assert call(*options, "--trials", "2").exit_code == 0
    assert call(*options, "--trials", "2").err.endswith("nothing is left to do for mine\n")
    assert call(*options, "--trials", "3").exit_code == 0
    refused = call(*options, "--trials", "4", "--seed", "9")
    assert refused.exit_code == 2
    assert "`seed`: 0 then, 9 now" in refused.err
    assert call(*options, "--trials", "4", "--seed", "9", "--accept-changes").exit_code == 0
    searches = [step for step in pretended.done if step[0] == "search"]
    assert [trials for _, _, trials, _ in searches] == [2, 3, 4]


def test_resume_and_run_with_resume_extend_the_newest_sweep(
    call: Call, pretended: Pretended
) -> None:
    options = ("run", "--resume", "--search-only", "--trials")
    assert call(*options, "1").exit_code == 0
    assert call(*options, "2").exit_code == 0
    outcome = call("resume", "--trials", "4", "--json")
    assert outcome.exit_code == 0
    assert json.loads(outcome.out)["trial_id"] == 4
    searches = [step for step in pretended.done if step[0] == "search"]
    assert [trials for _, _, trials, _ in searches] == [1, 2, 4]
    (name,) = {step[1] for step in searches}
    assert f"resuming {name}: 2 of 4 trials have ended" in outcome.err


def test_run_leaves_a_sweep_alone_that_another_process_begins_meanwhile(
    call: Call, pretended: Pretended
) -> None:
    def begin() -> None:
        folder = pretended.storage.child("mine")
        plain = SweepConfig(trials=9).model_dump(mode="json")
        LedgerWriter.open(folder, SweepCreated(1.0, FORMAT, "mine", plain)).close()

    pretended.fetch = begin
    outcome = call("run", "--name", "mine")
    assert outcome.exit_code == 2
    assert "there is a sweep 'mine' in " in outcome.err
    assert pretended.done == []


def test_confirm_takes_its_plan_from_options_then_from_the_config(
    call: Call, pretended: Pretended
) -> None:
    config = ("--set", "confirm={top_k: 2, seeds: 7}")
    call("run", "--name", "mine", "--trials", "3", *config)
    call("run", "--name", "other", "--trials", "3", "--search-only")
    pretended.done.clear()
    outcome = call("confirm", "mine")
    assert outcome.exit_code == 0
    assert "confirming mine: 7 seeds per arm, " in outcome.err
    call("confirm", "mine", "--seeds", "9")
    call("confirm", "mine", "--top-k", "1", "--concurrency", "1")
    call("confirm", "other")
    plans = [step[1] for step in pretended.done if step[0] == "confirm"]
    assert plans == [
        Confirm(top_k=2, seeds=7),
        Confirm(top_k=2, seeds=9),
        Confirm(top_k=1, seeds=7),
        Confirm(top_k=1, seeds=5),
    ]
    assert [step[3] for step in pretended.done if step[0] == "open"] == [None, None, 1, None]
    assert pretended.done[-2:] == [("draw", "other", "png"), ("report", "other")]


def test_interrupted_confirm_says_how_to_continue(call: Call, pretended: Pretended) -> None:
    call("run", "--name", "mine", "--trials", "2", "--search-only")
    pretended.error = Interrupted(signal.SIGINT)
    outcome = call("confirm", "--seeds", "3")
    assert outcome.exit_code == 130
    assert outcome.err.splitlines()[-1] == (
        "interrupted; every finished epoch is kept, continue with: "
        "sweep confirm --top-k 1 --seeds 3 mine"
    )
