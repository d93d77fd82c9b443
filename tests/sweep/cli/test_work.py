import contextlib
import errno
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import analysis.plots
import analysis.report.page
import sweep.cli.fetch
import sweep.cli.work
import sweep.driver.confirm
import sweep.driver.missing
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
    read_ledger,
)
from analysis.storage.folder import Folder, LocalFolder
from sweep.config import Confirm, SweepConfig
from sweep.driver.missing import Missing
from sweep.driver.signals import Interrupted
from sweep.errors import ClusterError

Call = Callable[..., Any]
DATA = object()


class Pretended:
    """What is done instead of training: it is noted, and the ledger gets its trials.

    Attributes:
        done: What was done, in order.
        failures: Why which trials are to fail.
        interruption: What is raised in the middle of the search.
        begins: Whether there is a ledger by then.
        is_full: Whether there is no room for the pictures.
    """

    def __init__(self, storage: Path) -> None:
        self.storage = LocalFolder(storage)
        self.done: list[tuple[Any, ...]] = []
        self.failures: dict[int, str] = {}
        self.interruption: BaseException | None = None
        self.begins = True
        self.is_full = False

    @contextlib.contextmanager
    def open_session(
        self,
        resources: Any,
        folder: Folder,
        *,
        address: str | None,
        concurrency: int | None,
        advise: Callable[[], str],
        make_screen: Any,
    ) -> Iterator[Folder]:
        self.advise = advise
        self.done.append(("open", folder.name, address, concurrency))
        yield folder

    def run_search(self, session: Folder, config: SweepConfig, *, name: str, mnist: Any) -> Ledger:
        assert mnist is DATA
        self.done.append(("search", name, config.trials, config.epochs))
        if not self.begins and self.interruption is not None:
            raise self.interruption
        plain = config.model_dump(mode="json")
        try:
            opened = LedgerWriter.reopen(session)
        except FileNotFoundError:
            opened = LedgerWriter.create(session, SweepCreated(1.0, FORMAT, name, plain))
        with opened as writer:
            if self.interruption is not None:
                raise self.interruption
            for trial_id in range(len(writer.ledger.trials) + 1, config.trials + 1):
                self._finish(writer, trial_id)
        return writer.ledger

    def _finish(self, writer: LedgerWriter, trial_id: int) -> None:
        values = {"dropout": 0.1, "rotation": 5.0, "shift": 0.05, "weight_decay": 1e-4}
        writer.append(TrialStarted(1.0, trial_id, 0, values))
        if trial_id in self.failures:
            reason = self.failures[trial_id]
            writer.append(TrialEnded(3.0, trial_id, "FAILED", reason))
            return
        for epoch in range(1, int(writer.ledger.config["epochs"]) + 1):
            accuracy = 0.9 + trial_id / 100
            writer.append(EpochRecord(2.0, trial_id, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
        writer.append(TrialEnded(3.0, trial_id, "COMPLETE", None))

    def run_confirmation(
        self, session: Folder, config: SweepConfig, ledger: Ledger, *, plan: Any, mnist: Any
    ) -> None:
        assert mnist is DATA
        if self.interruption is not None:
            raise self.interruption
        self.done.append(("confirm", plan))

    def draw_all(self, folder: Folder, file_format: str) -> None:
        if self.is_full:
            picture = folder.display_path("plots/a.png")
            raise StorageError(errno.ENOSPC, "No space left on device", picture)
        self.done.append(("draw", folder.name, file_format))

    def write_report(self, folder: Folder) -> None:
        self.done.append(("report", folder.name))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretended:
    pretended = Pretended(tmp_path / "storage")
    for module, name in (
        (sweep.driver.session, "open_session"),
        (sweep.driver.search, "run_search"),
        (sweep.driver.confirm, "run_confirmation"),
        (analysis.plots, "draw_all"),
        (analysis.report.page, "write_report"),
    ):
        monkeypatch.setattr(module, name, getattr(pretended, name))
    for module in (sweep.cli.work, sweep.cli.fetch):
        monkeypatch.setattr(module, "load_data", lambda folder: DATA)
    monkeypatch.setattr(sweep.driver.session, "n_processors", lambda: 4)
    return pretended


def test_run_searches_confirms_and_reports(call: Call, pretended: Pretended) -> None:
    options = ("--preset", "classic", "--name", "mine", "--trials", "3", "--epochs", "5")
    outcome = call("run", *options)
    assert (outcome.exit_code, outcome.err.splitlines()[-1]) == (
        0,
        "sweep mine: 3 trials of up to 5 epochs, 4 at a time; starting Ray",
    )
    assert pretended.done == [
        ("open", "mine", None, None),
        ("search", "mine", 3, 5),
        ("confirm", Confirm(top_k=1, seeds=5)),
        ("draw", "mine", "png"),
        ("report", "mine"),
    ]
    assert outcome.out.startswith("best of mine: trial 3, 93.00 % on the validation images")


def test_run_of_the_search_only_confirms_nothing(call: Call, pretended: Pretended) -> None:
    call("run", "--name", "mine", "--trials", "2", "--search-only", "--concurrency", "3")
    assert pretended.done[:3] == [
        ("open", "mine", None, 3),
        ("search", "mine", 2, 15),
        ("draw", "mine", "png"),
    ]
    config = read_ledger(pretended.storage.child("mine")).config
    assert config["confirm"] is None


def test_run_without_a_name_is_called_by_its_preset_and_the_time(
    call: Call, pretended: Pretended, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text("trials: 1\n")
    assert call("run", "--preset", "quick", "--trials", "1").exit_code == 0
    assert call("run", "--config", "own.yaml", "--search-only").exit_code == 0
    names = sorted(pretended.storage.folders())
    assert [name.rpartition("-")[0].rpartition("-")[0] for name in names] == ["own", "quick"]


def test_run_in_which_a_trial_fails_ends_in_5_after_its_result(
    call: Call, pretended: Pretended
) -> None:
    pretended.failures[2] = "KeyError: 'x' (traceback in failures/trial-0002.txt)"
    outcome = call("run", "--name", "mine", "--trials", "3", "--search-only", "--json")
    assert outcome.exit_code == 5
    assert json.loads(outcome.out)["trial_id"] == 3
    assert outcome.err.splitlines()[-1] == (
        f"error: 1 trial of mine failed, trial 2 because {pretended.failures[2]}"
    )


def test_run_in_which_a_trial_diverges_is_fine(call: Call, pretended: Pretended) -> None:
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
        "error: no trial of mine ran all its epochs: 2 of 2 failed, trial 1 because diverged"
    )


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_that_is_interrupted_says_how_to_go_on(
    number: signal.Signals, exit_code: int, call: Call, pretended: Pretended
) -> None:
    pretended.interruption = Interrupted(number)
    outcome = call("run", "--name", "mine", "--json")
    assert (outcome.exit_code, outcome.out) == (exit_code, "")
    assert outcome.err.splitlines()[-1] == (
        "interrupted; every finished epoch is kept, go on with: sweep resume mine"
    )
    assert [step[0] for step in pretended.done] == ["open", "search"]


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (StorageError, ["no room"], "no room"),
        (ClusterError, ["no node"], "no node"),
        (StorageError, [errno.EROFS, "Read-only", "/a/b"], "storage /a/b: Read-only"),
    ],
)
@pytest.mark.parametrize(
    ("begins", "advice"),
    [
        (True, "every finished epoch is kept, go on with: sweep resume mine"),
        (False, "the sweep mine has not begun"),
    ],
)
def test_run_whose_surroundings_fail_says_how_to_go_on(
    kind: type[Exception],
    arguments: list[Any],
    message: str,
    begins: bool,
    advice: str,
    call: Call,
    pretended: Pretended,
) -> None:
    pretended.interruption, pretended.begins = kind(*arguments), begins
    outcome = call("run", "--name", "mine", "--json")
    assert (outcome.exit_code, outcome.out) == (4, "")
    assert outcome.err.splitlines()[-2:] == [f"error: {message}", advice]
    assert pretended.advise() == advice  # for where not even this much can be said


def test_confirm_that_is_interrupted_says_how_to_go_on(call: Call, pretended: Pretended) -> None:
    call("run", "--name", "mine", "--trials", "2", "--search-only")
    pretended.interruption = Interrupted(signal.SIGINT)
    outcome = call("confirm", "--seeds", "3")
    assert outcome.exit_code == 130
    assert outcome.err.splitlines()[-1] == (
        "interrupted; every finished epoch is kept, go on with: "
        "sweep confirm --top-k 1 --seeds 3 mine"
    )


def test_run_that_is_interrupted_while_it_draws_can_be_drawn_by_resume(
    call: Call, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(analysis.plots, "draw_all", interrupt)
        outcome = call("run", "--name", "mine", "--trials", "2", "--search-only", "--json")
    assert outcome.exit_code == 130
    assert json.loads(outcome.out)["trial_id"] == 2
    assert "draw it again with: sweep plot mine; sweep report mine" in outcome.err
    assert call("resume").exit_code == 0
    assert pretended.done[-2:] == [("draw", "mine", "png"), ("report", "mine")]


def test_run_without_room_for_its_pictures_still_has_its_result(
    call: Call, pretended: Pretended
) -> None:
    pretended.is_full = True
    outcome = call("run", "--name", "mine", "--trials", "2", "--search-only", "--json")
    assert outcome.exit_code == 4
    assert json.loads(outcome.out)["trial_id"] == 2
    assert outcome.err.splitlines()[-2:] == [
        f"error: storage {pretended.storage}/mine/plots/a.png: the disk is full, make room there",
        "the sweep itself is finished; draw it again with: sweep plot mine; sweep report mine",
    ]


def test_resume_extends_a_sweep(call: Call, pretended: Pretended) -> None:
    call("run", "--name", "mine", "--trials", "2", "--search-only")
    pretended.done.clear()
    outcome = call("resume", "--trials", "4", "--json")
    assert outcome.exit_code == 0
    assert json.loads(outcome.out)["trial_id"] == 4
    assert "resuming mine: 2 of 4 trials have ended" in outcome.err
    assert pretended.done[:2] == [("open", "mine", None, None), ("search", "mine", 4, 15)]


def test_run_with_resume_goes_on_only_with_the_same_config(
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


def test_run_that_another_has_begun_meanwhile_leaves_it_alone(
    call: Call, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep.cli.work, "load_data", lambda folder: begin() or DATA)

    def begin() -> None:  # while this one fetches MNIST
        folder = pretended.storage.child("mine")
        plain = SweepConfig(trials=9).model_dump(mode="json")
        LedgerWriter.create(folder, SweepCreated(1.0, FORMAT, "mine", plain)).close()

    outcome = call("run", "--name", "mine")
    assert outcome.exit_code == 2
    assert "another process has begun the sweep mine meanwhile" in outcome.err
    assert [step[0] for step in pretended.done] == ["open"]


def test_run_with_resume_but_no_name_goes_on_with_the_newest(
    call: Call, pretended: Pretended
) -> None:
    options = ("run", "--resume", "--search-only", "--trials")
    assert call(*options, "1").exit_code == 0
    assert call(*options, "2").exit_code == 0
    searches = [step for step in pretended.done if step[0] == "search"]
    assert [trials for _, _, trials, _ in searches] == [1, 2]
    assert searches[0][1] == searches[1][1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("resume", "mine", "--trials", "1000001"),
        ("confirm", "mine", "--seeds", "1001"),
        ("confirm", "mine", "--top-k", "101"),
    ],
    ids=" ".join,
)
def test_numbers_that_no_config_takes_are_refused(
    arguments: tuple[str, ...], call: Call, pretended: Pretended
) -> None:
    call("run", "--name", "mine", "--trials", "1", "--search-only")
    outcome = call(*arguments)
    assert outcome.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}'" in outcome.err


def test_confirm_takes_its_plan_from_options_then_from_the_config(
    call: Call, pretended: Pretended, synthetic: ModuleType
) -> None:
    config = ("--set", "confirm={top_k: 2, seeds: 7}")
    call("run", "--name", "mine", "--trials", "3", *config)
    call("run", "--name", "other", "--trials", "3", "--search-only")
    pretended.done.clear()
    outcome = call("confirm", "mine")
    assert outcome.exit_code == 0
    assert "confirming mine: 7 seeds an arm, 4 at a time; starting Ray" in outcome.err
    call("confirm", "mine", "--seeds", "9")
    call("confirm", "mine", "--top-k", "1", "--concurrency", "2")
    call("confirm", "other")
    plans = [step[1] for step in pretended.done if step[0] == "confirm"]
    assert plans == [
        Confirm(top_k=2, seeds=7),
        Confirm(top_k=2, seeds=9),
        Confirm(top_k=1, seeds=7),
        Confirm(top_k=1, seeds=5),
    ]
    assert [step[3] for step in pretended.done if step[0] == "open"] == [None, None, 2, None]
    assert pretended.done[-2:] == [("draw", "other", "png"), ("report", "other")]


def test_one_of_anything_is_told_in_the_singular(call: Call, pretended: Pretended) -> None:
    one = call("run", "--name", "one", "--trials", "1", "--epochs", "1", "--search-only")
    assert "sweep one: 1 trial of up to 1 epoch, 4 at a time; starting Ray" in one.err
    assert "confirming one: 1 seed an arm, " in call("confirm", "one", "--seeds", "1").err


def test_confirm_of_what_is_confirmed_starts_nothing(
    call: Call, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("run", "--name", "mine", "--trials", "3")
    pretended.done.clear()
    asked = []

    def nothing_is_missing(folder: Folder, ledger: Ledger, config: SweepConfig) -> Missing:
        asked.append((folder.name, config.confirm))
        return Missing(0, 3, 0, [], 12)

    monkeypatch.setattr(sweep.driver.missing, "find_missing", nothing_is_missing)
    outcome = call("confirm", "mine", "--seeds", "3")
    assert (outcome.exit_code, outcome.err) == (0, "all of it is confirmed already for mine\n")
    assert outcome.out.startswith("best of mine: trial 3, ")
    assert asked == [("mine", Confirm(top_k=1, seeds=3))]
    assert pretended.done == []
