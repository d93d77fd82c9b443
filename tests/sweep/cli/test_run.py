"""`run`, `resume` and `confirm` with a driver that trains nothing."""

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import analysis.plots.gallery
import analysis.report.page
import sweep.api.plan
import sweep.api.work
import sweep.driver.confirm
import sweep.driver.estimate
import sweep.driver.search
import sweep.driver.session
from analysis.errors import StorageError
from analysis.records.confirmation import LookTaken, Plan
from analysis.records.files import REPORT_FILE
from analysis.records.ledger import DIVERGED, ConfigChanged, Ledger, read_ledger
from analysis.records.seeds import confirmation_seeds
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from appending import append, write_journal
from data_utils.dataset import ImageDataset, TrainTest
from data_utils.registry import is_path
from in_memory import begin_confirmation, begin_ledger, run_ended, run_records, trial_records
from sweep.config import Confirm, SweepConfig
from sweep.driver.arms import plan_arms
from sweep.driver.estimate import Speed
from sweep.driver.resume import extend
from sweep.driver.signals import Interrupted
from sweep.errors import ClusterError


def _blank(n: int) -> ImageDataset:
    """Images that take no memory."""
    images = np.broadcast_to(np.zeros((1, 28, 28), np.uint8), (n, 28, 28))
    return ImageDataset(images, np.zeros(n, np.uint8))


DATA = TrainTest(_blank(60_000), _blank(10_000), known_fingerprint="mnist")
WRITING = "drawing the plots and writing the report"


class Pretended:
    """Stands in for the driver: notes what it should do, and writes trials to the ledger.

    Attributes:
        mine: The folder of the sweep `mine`.
        done: The calls, in order.
        failures: Reasons of the trials that fail.
        failing_run: Reason for which the confirmation's only run fails.
        error: Raised in the middle of the search and of the confirmation.
        begins: Whether the ledger exists by then.
        drawing_error: Raised by the plots.
        writes_report: Whether a report is written during the search.
        fetch: Called while the data is loaded.
    """

    def __init__(self, storage: Path) -> None:
        self.storage = LocalFolder(storage)
        self.mine = self.storage.child("mine")
        self.done: list[tuple[Any, ...]] = []
        self.failures: dict[int, str] = {}
        self.failing_run: str | None = None
        self.error: BaseException | None = None
        self.begins = True
        self.drawing_error: BaseException | None = None
        self.writes_report = False
        self.fetch: Callable[[], None] = lambda: None
        self.data = DATA

    def load_data(self, name: str, folder: Path | None, split: str) -> object:
        assert name == "mnist" or is_path(name)
        self.fetch()
        return self.data

    @contextlib.contextmanager
    def open_session(self, resources: Any, folder: Folder, **options: Any) -> Iterator[Folder]:
        self.advise = options["advise"]
        self.done.append(("open", folder.name, options["address"], options["concurrency"]))
        yield folder

    def run_search(
        self, session: Folder, config: SweepConfig, data: Any, earlier: Any = None
    ) -> Ledger:
        assert data is DATA
        name = session.name
        self.done.append(("search", name, config.trials, config.epochs))
        if not self.begins and self.error is not None:
            raise self.error
        if self.writes_report:
            session.write(REPORT_FILE, b"")
        values = {"dropout": 0.1, "rotation": 5.0, "shift": 0.05, "weight_decay": 1e-4}
        begun = begin_ledger(config, name=name, earlier=earlier)
        ledger: Ledger = write_journal(session, begun)
        if self.error is not None:
            raise self.error
        records: list[Any] = []
        for trial_id in range(len(ledger.trials) + 1, config.trials + 1):
            reason = self.failures.get(trial_id)
            state = "COMPLETE" if reason is None else "FAILED"
            curve = [0.9 + trial_id / 100] * config.epochs if reason is None else []
            records += trial_records(trial_id, curve, state, values, reason=reason, seconds=1.0)
        return write_journal(session, begun, *records)

    def run_confirmation(
        self, session: Folder, config: SweepConfig, ledger: Ledger, data: Any
    ) -> None:
        assert data is DATA
        if self.error is not None:
            raise self.error
        self.done.append(("confirm", config.confirm))
        if self.failing_run is not None:
            arm, *_ = plan_arms(config, rank_trials(ledger)[:1])
            failed = run_ended(arm.arm, 7, "FAILED", self.failing_run)
            write_journal(session, begin_confirmation(config.epochs), arm, failed)

    def measure_speed(self, *given: Any) -> Speed:
        return Speed(training_s=1e-4, validation_s=2e-5)

    def draw_all(self, folder: Folder, file_format: str) -> None:
        if self.drawing_error is not None:
            raise self.drawing_error
        self.done.append(("draw", folder.name, file_format))

    def write_report(self, folder: Folder) -> None:
        self.done.append(("report", folder.name))
        folder.write(REPORT_FILE, b"")


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pretended:
    pretended = Pretended(tmp_path / "storage")
    for module, name in (
        (sweep.api.plan, "load_data"),
        (sweep.api.work, "load_data"),
        (sweep.driver.session, "open_session"),
        (sweep.driver.search, "run_search"),
        (sweep.driver.confirm, "run_confirmation"),
        (sweep.driver.estimate, "measure_speed"),
        (analysis.plots.gallery, "draw_all"),
        (analysis.report.page, "write_report"),
    ):
        monkeypatch.setattr(module, name, getattr(pretended, name))
    return pretended


def test_run_searches_confirms_and_reports(call, pretended):
    options = "--preset classic --name mine --trials 3 --epochs 5"
    outcome = call(f"run {options} --concurrency 1")
    assert outcome.exit_code == 0
    header, searched, fixed, first, time, start, report = outcome.err.splitlines()[-7:]
    assert header == "sweep mine: 3 trials of up to 5 epochs"
    assert searched.startswith("  searched  dropout 0 to 0.5, rotation 0° to 30°, ")
    assert fixed.startswith("  fixed     batch_size 64, ")
    assert first == "  first     dropout 0.25, rotation 10°, shift 0.05, weight_decay 0.001"
    assert time == (  # 3 trials, and 4 arms with 5 seeds, of 5 epochs of 5.2 s and 6.2 s
        "  time      up to about 12 min at the current load: search 95 s, confirmation 11 min"
    )
    assert start == "1 at a time; starting Ray"
    assert report == WRITING
    assert pretended.done == [
        ("open", "mine", None, 1),
        ("search", "mine", 3, 5),
        ("confirm", Confirm(top_k=1, seeds=5)),
        ("draw", "mine", "png"),
        ("report", "mine"),
    ]
    assert outcome.out.startswith("best of mine: trial 3, 93.00 % on the validation images")


def test_run_without_a_name_has_the_name_of_its_preset_and_the_time(call, pretended, tmp_path):
    (tmp_path / "own.yaml").write_text("trials: 1\n")
    assert call("run --preset quick --trials 1").exit_code == 0
    assert call("run --config own.yaml --search-only").exit_code == 0
    assert "confirm" not in [step[0] for step in pretended.done]
    names = sorted(pretended.storage.folders())
    assert [name.rpartition("-")[0].rpartition("-")[0] for name in names] == ["own", "quick"]


@pytest.mark.parametrize(
    ("failed", "reason", "exit_code", "error"),
    [
        ([2], "KeyError: 'x'", 5, "error: 1 trial of mine failed, trial 2: KeyError: 'x'\n"),
        ([2], f"{DIVERGED}: loss became nan", 0, ""),
        (
            [1, 2, 3],
            f"{DIVERGED}: loss became nan",
            5,
            "error: no trial of mine ran all its epochs: 3 of 3 failed, trial 1: "
            f"{DIVERGED}: loss became nan\n",
        ),
    ],
)
def test_run_with_failed_trials_reports_its_result_before_it_fails(
    failed, reason, exit_code, error, call, pretended
):
    pretended.failures = dict.fromkeys(failed, reason)
    outcome = call("run --name mine --trials 3 --search-only --json")
    assert outcome.exit_code == exit_code
    assert pretended.done[-2:] == [("draw", "mine", "png"), ("report", "mine")]
    assert outcome.err.endswith(f"starting Ray\n{WRITING}\n{error}")
    assert call("resume mine").exit_code == exit_code, "nothing is missing"
    if 3 in failed:
        assert outcome.out == ""
    else:
        assert outcome.document["trial_id"] == 3


@pytest.mark.parametrize(
    ("reason", "exit_code"), [("out of memory", 5), (f"{DIVERGED}: loss became nan", 0)]
)
def test_confirmation_that_fails_is_an_error_after_its_result(reason, exit_code, call, pretended):
    pretended.failing_run = reason
    outcome = call("run --name mine --trials 3")
    assert outcome.exit_code == exit_code
    assert f"\ntrial 3, seed 7 failed: {reason}\n" in outcome.out
    failure = f"error: 1 confirmation run of mine failed, trial 3, seed 7: {reason}\n"
    assert outcome.err.endswith(failure) == bool(exit_code)
    assert ", 1 failed" in call("status mine").out


@pytest.mark.parametrize(
    ("error", "exit_code", "says"),
    [
        (Interrupted(signal.SIGINT), 130, "interrupted; {}\n"),
        (Interrupted(signal.SIGTERM), 143, "interrupted; {}\n"),
        (KeyboardInterrupt(), 130, "interrupted; {}\n"),  # before signals are caught
        (ClusterError("no node"), 4, "error: no node\n{}\n"),
        (StorageError(30, "Read-only", "/a/b"), 4, "error: storage /a/b: Read-only\n{}\n"),
    ],
)
@pytest.mark.parametrize(
    ("begins", "advice"),
    [
        (True, "every finished epoch is kept; continue with: sweep resume mine"),
        (False, "there is no sweep mine to continue"),
    ],
)
def test_run_that_is_cut_off_says_how_to_continue(
    error, exit_code, says, begins, advice, call, pretended
):
    error.__notes__ = []
    pretended.error, pretended.begins = error, begins
    outcome = call("run --name mine --json")
    assert (outcome.exit_code, outcome.out) == (exit_code, "")
    assert outcome.err.endswith(f"starting Ray\n{says.format(advice)}")
    assert pretended.advise() == advice  # for the watchdog, which ends the process itself


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signal_before_ray_starts_leaves_no_folder(
    number, exit_code, call, pretended, monkeypatch
):
    monkeypatch.setattr(
        "sweep.driver.estimate.measure_speed", lambda *_: os.kill(os.getpid(), number)
    )
    outcome = call("run --name mine")
    assert outcome.exit_code == exit_code
    assert outcome.err.endswith("interrupted; there is no sweep mine to continue\n")
    assert pretended.storage.folders() == []
    assert signal.getsignal(number) == signal.SIG_DFL


def test_signal_does_not_end_a_process_that_calls_a_sweep(pretended, tmp_path):
    made = sweep.run(name="mine", trials=3, search_only=True, storage=tmp_path / "storage")
    for number in (signal.SIGTERM, signal.SIGHUP):
        pretended.error = Interrupted(number)
        with pytest.raises(ClusterError, match=f"the sweep was ended by {number.name}"):
            made.confirm()
    pretended.error = Interrupted(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        made.resume(trials=4)
    pretended.error = None
    made.confirm(until_decided=True, max_seeds=12)
    assert ("confirm", Confirm(top_k=1, seeds=5, max_seeds=12)) in pretended.done


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (StorageError(28, "full", "/plots/a.png"), 4, "error: storage /plots/a.png: the disk is"),
    ],
)
def test_run_whose_plots_fail_has_its_result_and_resume_draws_them(
    error, exit_code, message, call, pretended
):
    pretended.drawing_error = error
    outcome = call("run --name mine --trials 2 --search-only --json")
    assert outcome.exit_code == exit_code
    assert outcome.document["trial_id"] == 2
    assert message in outcome.err
    assert "write its plots and report with: sweep plot mine; sweep report mine" in outcome.err
    pretended.drawing_error = None
    assert call("resume").exit_code == 0
    assert pretended.done[-2:] == [("draw", "mine", "png"), ("report", "mine")]


def test_resume_and_run_with_resume_continue_the_newest_sweep_if_its_config_is_the_same(
    call, pretended
):
    options = "run --resume --search-only --trials"
    assert call(f"{options} 1").exit_code == 0
    assert call(f"{options} 2").exit_code == 0
    outcome = call("resume --trials 4 --json")
    assert outcome.exit_code == 0
    assert outcome.document["trial_id"] == 4
    (name,) = {step[1] for step in pretended.done}
    assert f"resuming {name}: 2 of 4 trials have ended" in outcome.err
    assert f"{name} is complete: nothing to do\n" in call(f"{options} 4").err
    refused = call(f"{options} 5 --seed 9")
    assert refused.exit_code == 2
    assert "`seed`: 0 then, 9 now" in refused.err
    assert call(f"{options} 5 --seed 9 --accept-changes").exit_code == 0
    for trials, points, n in ((6, "[]", 0), (7, "[{dropout: 0.1}, {dropout: 0.2}]", 2)):
        changed = f"{options} {trials} --seed 9 --accept-changes --set"
        err = call(changed, f"initial_points={points}").err
        assert (f"note: the first {n} of the new initial points are not" in err) == bool(n)
    searches = [step for step in pretended.done if step[0] == "search"]
    assert [trials for _, _, trials, _ in searches] == [1, 2, 4, 5, 6, 7]


def test_report_of_before_does_not_stay_where_a_driver_is_killed(call, pretended):
    call("run --name mine --trials 2 --search-only")
    drawn = [("draw", "mine", "png"), ("report", "mine")]
    assert pretended.done[-2:] == drawn
    pretended.done.clear()
    assert call("resume mine").exit_code == 0
    assert pretended.done == []
    pretended.writes_report = True  # as another process may at any time
    assert call("resume mine --trials 3").exit_code == 0
    assert pretended.done[-2:] == drawn
    pretended.writes_report = False
    pretended.error = Interrupted(signal.SIGTERM)
    for again in ("resume mine --trials 4", "confirm mine"):
        assert call(again).exit_code == 143
        assert not pretended.mine.exists(REPORT_FILE)
    assert call("resume mine --trials 3").exit_code == 0
    assert pretended.done[-2:] == drawn


def test_confirm_of_a_search_that_is_not_finished_says_so(call, pretended):
    call("run --name mine --trials 2 --search-only")
    config = read_ledger(pretended.mine).config | {"trials": 3}
    append(pretended.mine, ConfigChanged(4.0, config))
    assert (
        "note: 2 of 3 trials have ended, and the best of them is confirmed; "
        "continue the search with: sweep resume mine\n"
    ) in call("confirm mine").err


@pytest.mark.parametrize("trials", [3, 9])
def test_more_trials_end_a_time_budget_that_is_used_up(trials, call, pretended):
    call("run --name mine --trials 3 --search-only --time-budget 1s")
    config = SweepConfig(trials=trials, time_budget="1s", confirm=None).model_dump(mode="json")
    ledger = read_ledger(pretended.mine)
    ledger.config = config
    assert extend(ledger, 5, None).time_budget is None
    assert extend(ledger, 5, "30m").time_budget == "30m45s"
    assert extend(ledger, None, None).time_budget == "1s"


def test_search_only_leaves_a_confirmation_that_was_begun(call, pretended):
    begin = "run --name mine --search-only --trials"
    call(f"{begin} 1")
    write_journal(pretended.mine, begin_confirmation(epochs=15), Plan(1.0, 1, 9, None))
    pretended.done.clear()
    dry = call(f"{begin} 2 --resume --dry-run --json").document
    assert dry["config"]["confirm"] is None
    assert call(f"{begin} 2 --resume").exit_code == 0
    assert [step[0] for step in pretended.done] == ["open", "search", "draw", "report"]
    call("resume mine --trials 2")
    assert ("confirm", Confirm(top_k=1, seeds=9)) in pretended.done


def test_time_budget_alone_adds_no_trial(call, pretended):
    call("run --name mine --trials 2 --search-only")
    longer = call("resume --time-budget 999999h")
    assert longer.exit_code == 0
    more = "all of its trials have ended; for more trials: sweep resume --trials 4 mine\n"
    assert more in longer.err


def test_few_steps_of_training_and_few_images_are_said(call, pretended):
    pretended.data = TrainTest(_blank(300), _blank(100))
    plan = "run --dry-run --dataset ./own.npz --epochs"
    few = call(f"{plan} 2").out
    assert "  note      8 steps of training per trial: " in few
    # With two more images of either kind, 47 of 54: √(0.870 · 0.130 / 54) = 0.0457
    note = "50 validation images: a score of 90 % has a standard error of 4.6 points"
    assert f"  note      {note}\n" in few
    assert "validation images" not in call("run --dry-run").out
    assert "of training per trial" not in call(f"{plan} 200").out


def test_sweep_is_not_continued_with_other_data(call, pretended):
    begin = "run --name mine --search-only --trials 1 --dataset"
    assert call(f"{begin} ./one.npz").exit_code == 0
    assert call(f"{begin} ./moved/one.npz --resume").exit_code == 0
    pretended.data = TrainTest(_blank(500), _blank(100))
    done = list(pretended.done)
    again = f"{begin} ./two.npz --resume"
    dry = call(f"{again} --dry-run")
    assert (dry.exit_code, "the data is not that of mine" in dry.err) == (3, True)
    for command in ("resume mine --trials 2", "confirm mine", again):
        outcome = call(command)
        assert outcome.exit_code == 3
        error, advice = outcome.err.splitlines()[-2:]
        assert error.startswith(
            "error: the data is not that of mine, which had 60,000 training and 10,000 test images"
        )
        assert advice == (
            "if it has moved, say where, with the sweep's `config.yaml`: "
            "sweep run --resume --config FILE --dataset PATH --name mine"
        )
    assert pretended.done == done


def test_place_and_resources_alone_are_recorded_where_nothing_is_missing(call, pretended):
    begin = "run --name mine --preset classic --trials 1 --dataset"
    assert call(f"{begin} ./one.npz").exit_code == 0
    mine = pretended.mine
    before, environment = read_ledger(mine).config, mine.read("environment.json")
    done = [step for step in pretended.done if step[0] in ("search", "confirm")]
    settings = "--set resources.cpu=0.5 --search-only --seed 5 --accept-changes"
    outcome = call(f"{begin} ./moved/one.npz --resume {settings}")
    assert "mine is complete: nothing to do\n" in outcome.err
    moved = before["dataset"].replace("one.npz", "moved/one.npz")
    changed = {"dataset": moved, "resources": before["resources"] | {"cpu": 0.5}}
    assert read_ledger(mine).config == before | changed
    assert b"/moved/one.npz" in mine.read("config.yaml")
    assert mine.read("environment.json") == environment
    assert [step for step in pretended.done if step[0] in ("search", "confirm")] == done


def test_run_leaves_a_sweep_alone_that_another_process_begins_meanwhile(call, pretended):
    def begin() -> None:
        write_journal(pretended.mine, begin_ledger(SweepConfig(trials=9)))

    pretended.fetch = begin
    outcome = call("run --name mine")
    assert outcome.exit_code == 2
    assert "the sweep 'mine' already exists in " in outcome.err
    assert pretended.done == []


def test_confirm_takes_its_plan_from_options_then_from_the_config(call, pretended):
    call("run --name mine --trials 3 --set", "confirm={top_k: 2, seeds: 7}")
    call("run --name other --trials 3 --search-only")
    pretended.done.clear()
    outcome = call("confirm mine")
    assert outcome.exit_code == 0
    assert "confirming mine: 7 seeds per arm\n" in outcome.err
    call("confirm mine --seeds 9")
    call("confirm mine --top-k 1 --concurrency 1")
    call("confirm other")
    call("confirm other --until-decided")
    call("confirm other --until-decided --max-seeds 12")
    for wrong in ("--max-seeds 12", "--until-decided --seeds 5"):
        assert call(f"confirm other {wrong}").exit_code == 2
    plans = [step[1] for step in pretended.done if step[0] == "confirm"]
    assert plans == [
        Confirm(top_k=2, seeds=7),
        Confirm(top_k=2, seeds=9),
        Confirm(top_k=1, seeds=7),
        Confirm(top_k=1, seeds=5),
        Confirm(top_k=1, seeds=5, max_seeds=20),
        Confirm(top_k=1, seeds=5, max_seeds=12),
    ]
    opened = [step[3] for step in pretended.done if step[0] == "open"]
    assert opened == [None, None, 1, None, None, None]
    assert pretended.done[-2:] == [("draw", "other", "png"), ("report", "other")]


def test_interrupted_confirm_says_how_to_continue(call, pretended):
    call("run --name mine --trials 2 --search-only")
    pretended.error = Interrupted(signal.SIGINT)
    outcome = call("confirm --seeds 3")
    assert outcome.exit_code == 130
    assert outcome.err.splitlines()[-1] == (
        "interrupted; every finished epoch is kept; continue with: "
        "sweep confirm --top-k 1 --seeds 3 mine"
    )
    # Once the plan is recorded, `sweep status` knows it, too.
    write_journal(pretended.mine, begin_confirmation(epochs=15), Plan(1.0, 1, 3, None))
    told = call("confirm --seeds 3").err.splitlines()[-1].partition("; continue")[2]
    assert told == " with: sweep resume mine"
    assert call("status").out.splitlines()[-1] == f"continue{told}"


def test_dry_run_says_what_is_searched_fixed_and_off_and_writes_nothing(call, pretended, tmp_path):
    options = "run --dry-run --name mine --trials 3 --set space.shift=null"
    outcome = call(options)
    assert outcome.exit_code == 0
    header, searched, fixed, off, first, time, end = outcome.out.splitlines()
    assert header.startswith("sweep mine would run 3 trials of up to 15 epochs, then: ")
    assert searched.startswith("  searched  dropout 0 to 0.5, ")
    assert fixed.startswith("  fixed     batch_size 64, ")
    assert off == "  off       shift"
    assert first == "  first     dropout 0.25, rotation 10°, weight_decay 0.001"
    assert time.startswith("  time      up to about ")
    assert end == "nothing was started or written"
    document = call(f"{options} --concurrency 1 --json").document
    assert document["off"] == ["shift"]
    # The start, 3 trials of 15 epochs of 5.2 s, and 4 arms with 5 seeds of 15 epochs of 6.2 s.
    assert document["estimate_s"] == pytest.approx(15 + 3 * 15 * 5.2 + 4 * 5 * 15 * 6.2)
    assert pretended.done == []
    assert list(tmp_path.iterdir()) == []
    call("run --name mine --trials 1 --search-only")
    assert call(options).exit_code == 2, "the sweep exists"


def test_dry_run_of_a_sweep_that_exists_says_what_is_missing(call, pretended):
    begin, again = "run --name mine --trials 1", "--resume --dry-run --concurrency 1"
    call(f"{begin} --search-only")
    outcome = call(f"{begin} --search-only {again}")
    assert "it is complete already\n" in outcome.out
    assert "  time  " not in outcome.out
    document = call(f"{begin} --search-only {again} --json").document
    assert document["missing"] == "nothing is missing"
    document = call(f"{begin} --search-only {again} --trials 3 --json").document
    assert document["missing"] == "1 of 3 trials have ended"
    assert document["estimate_s"] == pytest.approx(15 + 2 * 15 * 5.2)

    call("run --name other --trials 1")
    other = pretended.storage.child("other")
    write_journal(other, begin_confirmation(epochs=15), Plan(1.0, 1, 9, None))
    outcome = call(f"run --name other --trials 1 {again}")
    assert "confirmation of 1 finalist, 9 seeds per arm\n" in outcome.out
    assert "36 of 36 confirmation runs are missing" in outcome.out


@pytest.mark.parametrize(
    "fails", ["assert len(images) <= 3", "len(images) <= 3 or __import__('sys').exit(3)"]
)
def test_own_network_that_prints_and_fails_in_training_has_no_estimate(fails, call, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self):\n"
        "        super().__init__(784, 10)\n"
        "    def forward(self, images):\n"
        "        print('printed')\n"
        f"        {fails}\n"
        "        return super().forward(images.flatten(1))\n"
    )
    outcome = call("run --dry-run --set model=net.py:Net --json")
    assert outcome.exit_code == 0, outcome
    assert outcome.document["estimate_s"] is None
    assert outcome.err.count("printed") == 3  # two of them in the check


def test_sweep_that_learns_from_another_is_continued_without_it(call, pretended, tmp_path):
    call("run --name old --trials 3 --search-only")
    start = "run --name new --from old --trials 2 --search-only"
    preview = call(f"{start} --dry-run")
    assert "learning from 3 of 3 trials of old" in preview.out
    outcome = call(start)
    assert outcome.exit_code == 0
    assert "learning from 3 of 3 trials of old" in outcome.err
    shutil.rmtree(tmp_path / "storage" / "old")
    outcome = call(f"{start} --resume --trials 3")
    assert (outcome.exit_code, "no effect" in outcome.err) == (0, False)
    documents = call("trials new --json").document["trials"]
    origins = {document["trial_id"]: document["origin"] for document in documents}
    assert origins == {1: "initial", 2: "earlier sweep", 3: "proposed"}
    outcome = call(f"{start} --from an --resume --trials 3")
    assert "note: `--from an` has no effect: new has been started without it" in outcome.err

    outcome = call("run --name other --from new --epochs 3")
    assert outcome.exit_code == 2
    assert "`epochs` was 15, now 3 (3 trials)" in outcome.err
    assert not (tmp_path / "storage" / "other").exists()


@pytest.mark.parametrize("command", ["confirm mine", "resume mine --trials 4"])
def test_sweep_that_another_process_has_just_changed_is_not_continued(
    command, call, pretended, monkeypatch
):
    call("run --name mine --trials 2 --search-only")
    folder, done = pretended.mine, [*pretended.done]
    monkeypatch.setattr(
        sweep.api.work,
        "_load_networks",
        lambda *given: append(folder, *trial_records(3, [0.99])),
    )
    outcome = call(command)
    assert outcome.exit_code == 4
    assert f"{folder}: another process has just worked on it; run the" in outcome.err
    assert "watch it" not in outcome.err
    assert pretended.done == done


def test_changed_resources_of_a_sweep_that_another_process_extends_are_not_recorded(
    call, pretended, monkeypatch
):
    call("run --name mine --trials 2 --search-only")
    folder = pretended.mine
    lock = LocalFolder.lock

    def lock_too_late(self: LocalFolder) -> contextlib.AbstractContextManager[LocalFolder]:
        append(folder, *trial_records(3, [0.99]))
        return lock(self)

    monkeypatch.setattr(LocalFolder, "lock", lock_too_late)
    outcome = call("run --resume --name mine --trials 2 --set resources.cpu=2 --search-only")
    assert outcome.exit_code == 4
    assert f"{folder}: another process has just worked on it; run the" in outcome.err
    assert read_ledger(folder).config["resources"]["cpu"] == 1


def test_advice_has_the_address_of_the_cluster(call, pretended, monkeypatch):
    pretended.error = ClusterError("no node")
    told = call("run --name mine --address 10.0.0.1:6379").err
    assert told.endswith("continue with: sweep resume --address 10.0.0.1:6379 mine\n")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert call("resume mine").err.endswith("continue with: sweep resume mine\n")


def test_confirmation_is_complete_once_a_larger_plan_is_given_up(call, pretended):
    call("run --name mine --trials 2 --epochs 2 --search-only")
    ledger = read_ledger(pretended.mine)
    arms = plan_arms(SweepConfig.model_validate(ledger.config), rank_trials(ledger)[:1])
    names, seeds = tuple(arm.arm for arm in arms), confirmation_seeds(0, 5)
    runs = [r for arm in names for s in seeds for r in run_records(arm, s, [0.9, 0.95])]
    plans = [Plan(1.0, 1, n, None, names) for n in (5, 20)]
    begun = begin_confirmation(2, name="mine", created=ledger.created.time)
    write_journal(pretended.mine, begun, plans[0], *arms, *runs, LookTaken(1.0, 5, 5), plans[1])
    assert call("status --json").document["state"] == "interrupted"
    call("confirm mine")  # continues what was cut off
    assert pretended.done[-3] == ("confirm", Confirm(top_k=1, seeds=20))
    done = call("confirm mine --seeds 5").err
    assert "the earlier plan is dropped: 20 seeds per arm\nmine is already confirmed\n" in done
    assert call("status --json").document["state"] == "finished"
