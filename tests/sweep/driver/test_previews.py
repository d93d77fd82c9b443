import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.trial import TrialState

from analysis.plots.importance import importances
from analysis.plots.titles import trial_title
from analysis.records.ledger import Ledger, read_ledger
from analysis.results.selection import describe_origin, preview_score, rank_trials
from analysis.results.tables import trials_table
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import TrainTest
from in_memory import begin_ledger, measured
from sweep.config import SweepConfig
from sweep.driver.estimate import Speed, estimate_time
from sweep.driver.resume import check_changes
from sweep.driver.search import run_search
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted
from sweep.driver.warm_start import learn_from
from sweep.errors import UsageError
from sweep.training.assignment import Assignment, Report
from sweep.tuning.engine import Recorder
from sweep.tuning.searcher import StudySearcher, objective

# Trials 1 to 5 and 7 are previews; 6, 8 and, as the last one, 9 have all epochs.
CONFIG = SweepConfig.model_validate(
    {
        "trials": 9,
        "epochs": 3,
        "scheduler": {"name": "preview", "grace_period": 2, "reduction_factor": 2},
        "confirm": None,
    }
)


class Played:
    """Plays a search: the accuracy of a trial depends on its dropout, and on its epochs.

    It ends by an interruption before its trial number `until`, after that trial's first epoch.
    """

    def __init__(self, until: int = 0) -> None:
        self._until = until
        self.searcher: Any = None

    def train(self, recorder: Recorder, assignment: Assignment) -> None:
        recorder.start(assignment)
        for number in range(recorder.n_epochs(assignment) + 1, assignment.epochs + 1):
            accuracy = 0.9 - assignment.hyperparameters["dropout"] / 10 + number / 1000
            report = Report((measured(number, accuracy),))
            recorder.epoch(assignment, report.epochs[0])
            if assignment.key == self._until:
                raise Interrupted(signal.SIGINT)
        report = Report(report.epochs, is_last=True)
        self.searcher().on_trial_complete(f"tune-{self._n}", report.to_result())
        self._n += 1
        recorder.end(assignment, report, None)

    _n = 0


@pytest.fixture
def play(
    make_session: Callable[..., Session], blank: TrainTest, tmp_path: Path
) -> Callable[..., tuple[Ledger, Any]]:
    """Runs a search, perhaps cut off at a trial; returns the ledger and the study."""

    def run(config: SweepConfig = CONFIG, until: int = 0) -> tuple[Ledger, Any]:
        played, folder = Played(until), LocalFolder(tmp_path / "mine")
        session: Any = make_session(folder, train=played.train)
        played.searcher = lambda: session.engine.asked[-1]["searcher"]
        try:
            run_search(session, config, blank)
        except Interrupted:
            assert until
        return read_ledger(folder), played.searcher().study

    return run


def _repeats(ledger: Ledger) -> dict[int, int | None]:
    return {t.trial_id: t.repeats for t in ledger.trials.values() if t.preview_epochs is None}


def _require_best_previews_are_repeated(ledger: Ledger) -> None:
    """Check that each trial with all epochs repeats the best preview that none had repeated."""
    trials, repeated = ledger.trials, set[int]()
    for number in (6, 8, 9):
        preview = max(
            (t for t in trials.values() if t.preview_epochs and t.trial_id < number),
            key=lambda t: (t.trial_id not in repeated, preview_score(t)),
        )
        repeated.add(preview.trial_id)
        full = trials[number]
        assert full.repeats == preview.trial_id
        assert (full.state, len(full.epochs)) == ("COMPLETE", 3)
        assert full.hyperparameters == preview.hyperparameters
        assert full.origin == preview.origin
        assert full.seed != preview.seed


def test_most_trials_are_previews_and_the_others_repeat_the_best_of_them(play):
    ledger, study = play()
    for number in (1, 2, 3, 4, 5, 7):
        preview = ledger.trials[number]
        assert (preview.state, preview.planned_epochs, len(preview.epochs)) == ("STOPPED", 2, 2)
    _require_best_previews_are_repeated(ledger)
    assert rank_trials(ledger)[0].trial.trial_id in (6, 8, 9)
    # The searcher learns from previews alone.
    values = {
        trial.number + 1: trial.value for trial in study.get_trials(states=[TrialState.COMPLETE])
    }
    assert values == {
        number: pytest.approx(objective(preview_score(ledger.trials[number]) or 0))
        for number in (1, 2, 3, 4, 5, 7)
    }


@pytest.mark.parametrize("until", range(1, 10))
def test_search_with_previews_goes_on_wherever_it_is_cut_off(until, play):
    cut, _ = play(until=until)
    assert cut.trials[until].state == "RUNNING"
    ledger, study = play()
    _require_best_previews_are_repeated(ledger)
    assert [*ledger.trials] == list(range(1, 10))
    assert len(study.trials) == 9
    assert _repeats(ledger).keys() == {6, 8, 9}
    told = {trial.number + 1 for trial in study.get_trials(states=[TrialState.COMPLETE])}
    assert told == {1, 2, 3, 4, 5, 7}


def test_extended_search_repeats_no_preview_twice(play):
    play()
    ledger, _ = play(CONFIG.model_copy(update={"trials": 14}))
    repeats = _repeats(ledger)
    assert repeats.keys() == {6, 8, 9, 10, 12, 14}
    assert len(set(repeats.values())) == 6


def test_used_up_time_budget_leaves_a_trial_with_all_epochs(play, monkeypatch):
    seconds = iter(range(1000))
    clock = SimpleNamespace(time=lambda: next(seconds))  # a second per record
    monkeypatch.setattr("sweep.driver.search.time", clock)
    ledger, _ = play(CONFIG.model_copy(update={"time_budget": "6s"}))
    assert 1 < len(ledger.trials) < 5
    assert _repeats(ledger).keys() == {len(ledger.trials)}
    assert rank_trials(ledger)


def test_initial_point_that_is_repeated_is_still_an_initial_point(play):
    config = CONFIG.model_copy(update={"initial_points": ({"dropout": 0.0},)})
    ledger, _ = play(config)
    assert ledger.trials[6].repeats == 1
    assert ledger.trials[6].origin == "initial"
    assert describe_origin(ledger) == (
        "none of 5 proposals of the searcher beat the initial point, trial 6"
    )


def test_sweep_learns_from_previews_only_if_its_own_are_as_long(play):
    ledger, _ = play()
    earlier = learn_from(ledger, CONFIG.model_copy(update={"initial_points": ()}), ledger.data)
    assert {trial.trial_id for trial in earlier.trials} == {1, 2, 3, 4, 5, 7}
    best = rank_trials(ledger)[0].trial
    assert earlier.point == {name: best.value(name) for name in CONFIG.space}
    searcher = StudySearcher(CONFIG, begin_ledger(CONFIG, earlier=earlier))
    values = [trial.value for trial in searcher.study.get_trials(states=[TrialState.COMPLETE])]
    assert len(values) == 6

    none = CONFIG.scheduler.model_copy(update={"name": "none"})
    without = CONFIG.model_copy(update={"scheduler": none})
    found = learn_from(ledger, without, ledger.data)
    assert {trial.trial_id for trial in found.trials} == {6, 8, 9}
    longer = CONFIG.scheduler.model_copy(update={"grace_period": 1})
    with pytest.raises(UsageError, match="it was planned for 2 epochs, previews for 1"):
        learn_from(ledger, CONFIG.model_copy(update={"scheduler": longer}), ledger.data)


def test_estimate_counts_the_epochs_of_previews(monkeypatch):
    monkeypatch.setattr("sweep.driver.estimate.measure_speed", lambda *_: Speed(1 / 50_000, 0.0))
    found = estimate_time(CONFIG, slots=1)
    assert found.search_s - 15 == pytest.approx(6 * 2 + 3 * 3)


def test_trials_that_are_asked_for_at_once_repeat_different_previews(play):
    cut, _ = play(CONFIG.model_copy(update={"trials": 30}), until=5)
    searcher = StudySearcher(CONFIG.model_copy(update={"trials": 30}), cut)
    asked = [searcher.suggest(f"t{n}")["assignment"] for n in range(12)]
    repeats = [one.repeats for one in asked if one.repeats is not None]
    assert len(repeats) == len(set(repeats)) == 4  # of the four previews that have ended
    assert all(one.epochs == 2 for one in asked if one.repeats is None)


def test_previews_are_not_repeated_in_another_recipe(play):
    play(until=5)
    recipe = {**CONFIG.recipe, "learning_rate": 0.3}
    ledger, _ = play(CONFIG.model_copy(update={"recipe": recipe}))
    assert ledger.trials[6].preview_epochs == 2
    assert ledger.trials[8].repeats in (6, 7)


def test_only_previews_are_no_complete_search(play, tmp_path):
    cut, _ = play(until=4)
    folder = LocalFolder(tmp_path / "mine")
    with pytest.raises(
        UsageError, match="must be at least 5, but got 4: mine has started 4 trials"
    ):
        check_changes(folder, cut, CONFIG.model_copy(update={"trials": 4}), accept_changes=True)


def test_searcher_without_previews_does_not_learn_from_them(play):
    ledger, _ = play()
    none = CONFIG.scheduler.model_copy(update={"name": "none"})
    study = StudySearcher(CONFIG.model_copy(update={"scheduler": none}), ledger).study
    complete = study.get_trials(states=[TrialState.COMPLETE])
    assert [trial.number + 1 for trial in complete] == [6, 8, 9]
    assert len(study.get_trials(states=[TrialState.FAIL])) == 6


def test_results_tell_previews_from_other_trials(play):
    ledger, _ = play(CONFIG.model_copy(update={"trials": 36}))
    table = trials_table(ledger).set_index("trial_id")
    assert list(table.loc[[1, 6], "planned_epochs"]) == [2, 3]
    assert list(table.loc[[1, 6], "preview"]) == [True, False]
    repeats = table.loc[[1, 6], "repeats"].to_csv(header=False)
    assert repeats == f"1,\n6,{ledger.trials[6].repeats}\n"
    assert trial_title(ledger.trials[1]).startswith("trial 1: preview, ")
    # Their accuracy depends on dropout alone; the complete trials are too few.
    assert importances(ledger)[0].name == "dropout"
    assert [trial.outcome for trial in ledger.trials.values()].count("preview") == 20
