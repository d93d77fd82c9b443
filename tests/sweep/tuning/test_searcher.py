import math
import pickle
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from optuna.trial import TrialState

from analysis.records.ledger import EpochRecord, Ledger, TrialEnded, TrialStarted
from analysis.records.seeds import trial_seed
from sweep.config import SweepConfig
from sweep.config.registry import SEARCHERS
from sweep.training.assignment import Assignment, Failure, Report
from sweep.tuning.searcher import TRIAL_ID, StudySearcher, objective

MakeResult = Callable[..., dict[str, Any]]
BeginLedger = Callable[[SweepConfig], Ledger]
MakeSearcher = Callable[..., StudySearcher]

SLOW_GP = pytest.param("gp", marks=pytest.mark.long)
# One dimension of every kind.
SPACE = {
    "dropout": {"low": 0.0, "high": 0.5},
    "rotation": {"low": 0.0, "high": 30.0, "step": 2.5},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "batch_size": {"low": 16, "high": 256, "log": True},
    "learning_rate": [0.01, 0.03, 0.1],
    "schedule": ["constant", "linear"],
    "warmup_epochs": {"low": 0, "high": 3, "step": 1},
    "nesterov": [False, True],
}
FAILED = Report(None, failure=Failure("diverged")).to_result()


@pytest.fixture
def make_searcher(begin_ledger: BeginLedger) -> MakeSearcher:
    """Makes the searcher of a new sweep, from what its config says."""

    def make(**given: Any) -> StudySearcher:
        config = SweepConfig.model_validate({"epochs": 4, **given})
        return StudySearcher(config, begin_ledger(config))

    return make


def _draw(searcher: StudySearcher, n: int, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs trials one after another to their end; returns what was searched in each."""
    draws = []
    for number in range(n):
        config = searcher.suggest(f"t{number}")
        draws.append(Assignment.from_config(config).hyperparameters)
        searcher.on_trial_complete(f"t{number}", result)
    return draws


def test_trials_are_numbered_from_1_and_called_by_their_number(
    make_searcher: MakeSearcher,
) -> None:
    searcher = make_searcher(model="mlp")
    configs = [searcher.suggest(name) for name in "abc"]
    assignments = [Assignment.from_config(config) for config in configs]
    assert [config[TRIAL_ID] for config in configs] == [1, 2, 3]
    assert [assignment.name for assignment in assignments] == [
        "trial-0001",
        "trial-0002",
        "trial-0003",
    ]
    assert {(assignment.model, assignment.epochs) for assignment in assignments} == {("mlp", 4)}


def test_each_trial_has_a_seed_that_follows_from_the_sweeps(make_searcher: MakeSearcher) -> None:
    searcher = make_searcher(seed=7)
    seeds = [Assignment.from_config(searcher.suggest(name)).seed for name in "abc"]
    assert seeds == [trial_seed(7, number) for number in (1, 2, 3)]
    other = make_searcher(seed=8)
    assert Assignment.from_config(other.suggest("a")).seed not in seeds


def test_first_points_come_first_and_what_they_lack_is_drawn(make_searcher: MakeSearcher) -> None:
    first = [{"dropout": 0.5, "schedule": "linear"}, {"rotation": 7.5, "nesterov": True}]
    searcher = make_searcher(space=SPACE, first=first)
    one, two, three = (
        Assignment.from_config(searcher.suggest(name)).hyperparameters for name in "abc"
    )
    assert (one["dropout"], one["schedule"]) == (0.5, "linear")
    assert (two["rotation"], two["nesterov"]) == (7.5, True)
    for values in (one, two, three):
        _require_inside_space(values)


def test_assignment_has_what_is_fixed_as_well(make_searcher: MakeSearcher) -> None:
    searcher = make_searcher(
        recipe={"batch_size": 32, "shift": 0.1, "momentum": 0.8},
        space={"dropout": {"low": 0.2, "high": 0.3}},
        first=[{"dropout": 0.25}],
    )
    assert Assignment.from_config(searcher.suggest("a")).hyperparameters == {
        "dropout": 0.25,
        "rotation": 0.0,
        "shift": 0.1,
        "weight_decay": 0.0,
        "batch_size": 32,
        "learning_rate": 0.01,
        "schedule": "constant",
        "warmup_epochs": 0.0,
        "momentum": 0.8,
        "nesterov": False,
    }


def _require_inside_space(values: dict[str, Any]) -> None:
    assert 0 <= values["dropout"] <= 0.5
    assert values["rotation"] in [2.5 * step for step in range(13)]
    assert 1e-6 <= values["weight_decay"] <= 1e-2
    assert type(values["batch_size"]) is int
    assert 16 <= values["batch_size"] <= 256
    assert values["learning_rate"] in (0.01, 0.03, 0.1)
    assert values["schedule"] in ("constant", "linear")
    assert values["warmup_epochs"] in (0, 1, 2, 3)
    assert type(values["nesterov"]) is bool


@pytest.mark.parametrize("name", SEARCHERS)
def test_every_kind_of_dimension_is_drawn_inside_its_range(
    name: str, make_searcher: MakeSearcher, make_result: MakeResult
) -> None:
    searcher = make_searcher(space=SPACE, first=[], searcher=name)
    draws = _draw(searcher, 12, make_result(0.9, 0.91, 0.92, 0.93))
    for values in draws:
        _require_inside_space(values)
    for dimension in SPACE:
        assert len({values[dimension] for values in draws}) > 1, dimension


def test_log_dimension_is_drawn_uniformly_in_its_logarithm(
    make_searcher: MakeSearcher, make_result: MakeResult
) -> None:
    space = {"weight_decay": {"low": 1e-6, "high": 1e-2, "log": True}}
    searcher = make_searcher(space=space, first=[], searcher="random")
    draws = _draw(searcher, 200, make_result(0.9, 0.9, 0.9, 0.9))
    n_low = sum(values["weight_decay"] < 1e-4 for values in draws)
    # Half of 200 fair draws, standard deviation 7.1: five of them are missed once in 2 million.
    assert abs(n_low - 100) < 36


@pytest.mark.parametrize("name", ["tpe", "random", SLOW_GP])
def test_one_trial_at_a_time_is_repeated_exactly(
    name: str, make_searcher: MakeSearcher, make_result: MakeResult
) -> None:
    def draw(seed: int, n: int) -> list[dict[str, Any]]:
        searcher = make_searcher(space=SPACE, first=[], searcher=name, seed=seed)
        draws = []
        for number in range(n):
            config = searcher.suggest(f"t{number}")
            draws.append(Assignment.from_config(config).hyperparameters)
            accuracy = 0.9 + draws[-1]["dropout"] / 10
            searcher.on_trial_complete(f"t{number}", make_result(accuracy, epochs=1))
        return draws

    assert draw(0, 12) == draw(0, 12)  # the first 10 are random ones with every searcher
    assert draw(0, 1) != draw(1, 1)


@pytest.mark.parametrize("name", ["tpe", SLOW_GP])
def test_searcher_draws_where_it_was_good(
    name: str, make_searcher: MakeSearcher, make_result: MakeResult
) -> None:
    searcher = make_searcher(space={"dropout": {"low": 0.0, "high": 0.5}}, first=[], searcher=name)
    draws = []
    for number in range(25):
        values = Assignment.from_config(searcher.suggest(f"t{number}")).hyperparameters
        draws.append(values["dropout"])
        accuracy = 0.99 - (values["dropout"] - 0.4) ** 2
        searcher.on_trial_complete(f"t{number}", make_result(accuracy, epochs=1))
    late = draws[-8:]
    # Uniform draws would lie within 0.1 of the best with probability 0.4: five of eight or
    # more of them in one run of six. The seed is fixed, and so is the outcome.
    assert sum(abs(dropout - 0.4) < 0.1 for dropout in late) >= 6


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_trials_that_learn_nothing_do_not_blind_a_gaussian_process(
    seed: int, make_searcher: MakeSearcher, make_result: MakeResult
) -> None:
    """Good and best differ by tenths of a percent; accuracies alone give 0.9914 and 0.9925."""
    space = {name: SPACE[name] for name in ("dropout", "weight_decay")}
    searcher = make_searcher(space=space, first=[], searcher="gp", seed=seed)
    accuracies = []
    for number in range(25):
        values = Assignment.from_config(searcher.suggest(f"t{number}")).hyperparameters
        exponent = math.log10(values["weight_decay"])
        accuracy = 0.994 - 0.02 * (values["dropout"] - 0.1) ** 2 - 0.0008 * (exponent + 3.5) ** 2
        accuracies.append(accuracy if exponent > -5 else 0.11)
        searcher.on_trial_complete(f"t{number}", make_result(accuracies[-1], epochs=1))
    assert statistics.median(accuracies[-8:]) > 0.993


@pytest.mark.parametrize(
    ("schedule", "score"), [("constant", (0.92 + 0.96 + 0.97) / 3), ("linear", 0.97)]
)
def test_complete_trial_has_the_score_that_the_best_is_chosen_by(
    schedule: str, score: float, make_searcher: MakeSearcher, make_result: MakeResult
) -> None:
    space = {"schedule": ["constant", "linear"]}
    searcher = make_searcher(space=space, first=[{"schedule": schedule}])
    searcher.suggest("a")
    for n_epochs in (1, 2, 3):
        searcher.on_trial_result("a", make_result(*(0.9, 0.92, 0.96)[:n_epochs]))
    searcher.on_trial_complete("a", make_result(0.9, 0.92, 0.96, 0.97))
    (trial,) = searcher.study.trials
    assert trial.state == TrialState.COMPLETE
    assert trial.value == pytest.approx(objective(score))
    assert trial.intermediate_values == {1: 0.9, 2: 0.92, 3: 0.96, 4: 0.97}


def test_stopped_trial_is_pruned_with_the_epoch_that_it_was_stopped_at(
    make_searcher: MakeSearcher, make_result: MakeResult
) -> None:
    searcher = make_searcher()
    searcher.suggest("a")
    searcher.on_trial_result("a", make_result(0.5))
    searcher.on_trial_complete("a", make_result(0.5, 0.6))
    (trial,) = searcher.study.trials
    assert trial.state == TrialState.PRUNED
    assert trial.intermediate_values == {1: 0.5, 2: 0.6}
    assert trial.value == 0.6


@pytest.mark.parametrize(
    ("last", "error"), [("failure", False), ("epoch", True), (None, True), (None, False)]
)
def test_failed_trial_is_failed_in_the_study(
    last: str | None, error: bool, make_searcher: MakeSearcher, make_result: MakeResult
) -> None:
    searcher = make_searcher()
    searcher.suggest("a")
    searcher.on_trial_result("a", make_result(0.5))
    results = {"failure": FAILED, "epoch": make_result(0.5, 0.6, 0.7, 0.8)}
    searcher.on_trial_complete("a", results.get(last or ""), error=error)
    (trial,) = searcher.study.trials
    assert (trial.state, trial.value) == (TrialState.FAIL, None)


def test_epoch_that_a_retried_trial_reports_again_counts_once(
    make_searcher: MakeSearcher, make_result: MakeResult
) -> None:
    searcher = make_searcher()
    searcher.suggest("a")
    searcher.on_trial_result("a", make_result(0.5))
    searcher.on_trial_result("a", make_result(0.5, 0.6))
    # Its process dies after epoch 3 is in the checkpoint and before it is reported.
    searcher.on_trial_result("a", make_result(0.5, 0.6, 0.7, past=True))
    searcher.on_trial_result("a", make_result(0.5, 0.6, 0.7))
    searcher.on_trial_complete("a", make_result(0.5, 0.6, 0.7, 0.8))
    (trial,) = searcher.study.trials
    assert trial.intermediate_values == {1: 0.5, 2: 0.6, 3: 0.7, 4: 0.8}
    assert trial.value == pytest.approx(objective(0.7))


def test_searcher_is_pickled_without_its_study(make_searcher: MakeSearcher) -> None:
    assert pickle.loads(pickle.dumps(make_searcher())).__dict__ == {}


def test_nothing_stays_running(make_searcher: MakeSearcher, make_result: MakeResult) -> None:
    searcher = make_searcher()
    for name in "abcd":
        searcher.suggest(name)
    searcher.on_trial_complete("b", make_result(0.5))
    searcher.on_trial_complete("d", error=True)
    searcher.on_trial_complete("a", make_result(0.9, 0.9, 0.9, 0.9))
    searcher.on_trial_complete("c", FAILED)
    searcher.on_trial_complete("c", FAILED)  # reported twice
    searcher.on_trial_complete("never-suggested", FAILED)
    assert [trial.state.name for trial in searcher.study.trials] == [
        "COMPLETE",
        "PRUNED",
        "FAIL",
        "FAIL",
    ]
    assert searcher.study.best_trial.number == 0


def _record(
    ledger: Ledger, trial_id: int, accuracies: list[float], state: Any, **values: float
) -> None:
    """Enters a trial in a ledger; one without a state is cut off."""
    ledger.apply(TrialStarted(0.0, trial_id, trial_seed(0, trial_id), values))
    for epoch, accuracy in enumerate(accuracies, start=1):
        ledger.apply(EpochRecord(1.0, trial_id, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
    if state is not None:
        ledger.apply(TrialEnded(2.0, trial_id, state, None))


@pytest.fixture
def resumed(begin_ledger: BeginLedger) -> tuple[SweepConfig, Ledger]:
    """A sweep that was cut off while trials 3 and 6 ran and before trial 4 was recorded."""
    config = SweepConfig.model_validate(
        {
            "epochs": 4,
            "trials": 9,
            "space": {"dropout": {"low": 0.0, "high": 0.5}},
            "initial_points": [{"dropout": point / 100} for point in range(1, 8)],
        }
    )
    ledger = begin_ledger(config)
    _record(ledger, 1, [0.9, 0.92, 0.94, 0.96], "COMPLETE", dropout=0.01, rotation=0.0)
    _record(ledger, 2, [0.5], "STOPPED", dropout=0.02, rotation=0.0)
    _record(ledger, 3, [0.8, 0.9], None, dropout=0.03, rotation=0.0)
    _record(ledger, 5, [0.3], "FAILED", dropout=0.05, rotation=0.0)
    _record(ledger, 6, [], None, dropout=0.06, rotation=0.0)
    return config, ledger


def test_resumed_searcher_knows_what_has_ended(resumed: tuple[SweepConfig, Ledger]) -> None:
    trials = StudySearcher(*resumed).study.trials
    assert [trial.state.name for trial in trials[:6]] == [
        "COMPLETE",
        "PRUNED",
        "WAITING",
        "WAITING",
        "FAIL",
        "WAITING",
    ]
    assert trials[0].value == pytest.approx(objective(0.94))
    assert trials[0].intermediate_values == {1: 0.9, 2: 0.92, 3: 0.94, 4: 0.96}
    assert trials[0].params == {"dropout": 0.01}
    assert (trials[1].value, trials[1].intermediate_values) == (0.5, {1: 0.5})
    assert trials[4].value is None


def test_resumed_searcher_proposes_what_was_cut_off_under_its_own_number(
    resumed: tuple[SweepConfig, Ledger],
) -> None:
    searcher = StudySearcher(*resumed)
    configs = [searcher.suggest(name) for name in "abcdef"]
    dropouts = [Assignment.from_config(config).hyperparameters["dropout"] for config in configs]
    assert [config[TRIAL_ID] for config in configs] == [3, 4, 6, 7, 8, 9]
    # Trial 4 was the fourth of the first points and never began; the seventh is still to come.
    assert dropouts[:4] == [0.03, 0.04, 0.06, 0.07]
    assert [Assignment.from_config(config).seed for config in configs] == [
        trial_seed(0, number) for number in (3, 4, 6, 7, 8, 9)
    ]


def test_trial_that_was_cut_off_goes_on_as_it_began_whatever_has_changed(
    resumed: tuple[SweepConfig, Ledger], make_result: MakeResult
) -> None:
    _, ledger = resumed
    changed = {
        "epochs": 2,
        "seed": 1,
        "recipe": {"learning_rate": 0.5},
        "space": {"dropout": {"low": 0.05, "high": 0.1}, "momentum": {"low": 0.0, "high": 0.5}},
    }
    searcher = StudySearcher(SweepConfig.model_validate(changed), ledger)
    old, gap = (Assignment.from_config(searcher.suggest(name)) for name in "ab")
    hyperparameters = old.hyperparameters
    assert (old.epochs, old.seed, hyperparameters["dropout"]) == (4, ledger.trials[3].seed, 0.03)
    assert (hyperparameters["momentum"], hyperparameters["learning_rate"]) == (0.9, 0.01)
    assert (gap.epochs, gap.hyperparameters["learning_rate"]) == (2, 0.5)
    searcher.on_trial_complete("a", make_result(0.8, 0.9, 0.91, 0.92, past=True))
    # Neither its dropout nor its momentum is in today's space.
    trial = searcher.study.trials[2]
    assert (trial.state, trial.params) == (TrialState.COMPLETE, {})
    assert trial.value == pytest.approx(objective(0.91))


@pytest.mark.parametrize("is_cut_off", [True, False])
def test_trial_from_before_a_value_was_searched_has_its_fixed_value(
    is_cut_off: bool,
    resumed: tuple[SweepConfig, Ledger],
    make_result: MakeResult,
) -> None:
    _, ledger = resumed
    changed = {
        "space": {
            "dropout": {"low": 0.0, "high": 0.5},
            "learning_rate": {"low": 0.005, "high": 0.2, "log": True},
            "schedule": ["constant", "linear"],
        }
    }
    if not is_cut_off:
        for epoch, accuracy in ((3, 0.91), (4, 0.92)):
            ledger.apply(EpochRecord(1.0, 3, epoch, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
        ledger.apply(TrialEnded(2.0, 3, "COMPLETE", None))
    searcher = StudySearcher(SweepConfig.model_validate(changed), ledger)
    if is_cut_off:
        trained = Assignment.from_config(searcher.suggest("a")).hyperparameters
        assert (trained["dropout"], trained["learning_rate"]) == (0.03, 0.01)
        searcher.on_trial_complete("a", make_result(0.8, 0.9, 0.91, 0.92, past=True))
    trial = searcher.study.trials[2]
    assert trial.state == TrialState.COMPLETE
    assert trial.params == {"dropout": 0.03, "learning_rate": 0.01, "schedule": "constant"}
    assert trial.value == pytest.approx(objective(0.91))
    assert trial.intermediate_values == {1: 0.8, 2: 0.9, 3: 0.91, 4: 0.92}


def test_resumed_searcher_does_not_repeat_its_draws(
    make_searcher: MakeSearcher, begin_ledger: BeginLedger, make_result: MakeResult
) -> None:
    given = {"space": {"dropout": {"low": 0.0, "high": 0.5}}, "initial_points": [], "epochs": 4}
    drawn = _draw(make_searcher(**given), 5, make_result(0.9, 0.9, 0.9, 0.9))
    config = SweepConfig.model_validate(given)
    ledger = begin_ledger(config)
    for trial_id, values in enumerate(drawn, start=1):
        _record(ledger, trial_id, [0.9] * 4, "COMPLETE", dropout=values["dropout"])
    more = _draw(StudySearcher(config, ledger), 5, make_result(0.9, 0.9, 0.9, 0.9))
    before = [values["dropout"] for values in drawn]
    assert not any(math.isclose(values["dropout"], old) for values in more for old in before)
