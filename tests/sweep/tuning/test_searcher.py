import math
import pickle
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from optuna.trial import TrialState

from analysis.hyperparameters import complete
from analysis.records.ledger import Ledger
from analysis.records.seeds import trial_seed
from config_ledgers import make_result, record
from in_memory import begin_ledger, trial_started
from sweep.config import SweepConfig
from sweep.config.registry import SEARCHERS
from sweep.training.assignment import Assignment, Report
from sweep.tuning.searcher import StudySearcher, objective

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
DROPOUT = {"dropout": SPACE["dropout"]}
FAILED = Report(failure="diverged").to_result()


class Driven:
    """A searcher and the ledger that it reads, driven as Tune and a recorder drive them."""

    def __init__(self, config: SweepConfig, ledger: Ledger) -> None:
        self.searcher, self.study = (made := StudySearcher(config, ledger)), made.study
        self.numbers: dict[str, int] = {}
        self._epochs, self._ledger = config.epochs, ledger

    def suggest(self, tune_id: str) -> Assignment:
        assignment: Assignment = self.searcher.suggest(tune_id)["assignment"]
        self.numbers[tune_id] = assignment.key
        return assignment

    def end(self, tune_id: str, *accuracies: float, failed: bool = False, **more: Any) -> None:
        """End a trial, which is complete if it has as many epochs as the config says."""
        record(self._ledger, self.numbers[tune_id], list(accuracies))
        result = make_result(*accuracies, epochs=self._epochs) if accuracies else None
        self.searcher.on_trial_complete(tune_id, FAILED if failed else result, **more)

    def draw(self, n: int, evaluate: Callable[[dict[str, Any]], float]) -> list[dict[str, Any]]:
        """Run trials of one epoch after another; return the hyperparameters of each."""
        draws = []
        for _ in range(n):
            tune_id = f"t{len(self.numbers)}"
            draws.append(self.suggest(tune_id).hyperparameters)
            self.end(tune_id, evaluate(draws[-1]))
        return draws


def make_driven(ledger: Ledger | None = None, **given: Any) -> Driven:
    """Drive the searcher of a sweep: a new one, unless its ledger is given."""
    config = SweepConfig.model_validate(given)
    return Driven(config, ledger or begin_ledger(config))


def test_initial_points_come_first_and_what_they_lack_is_drawn():
    points = [{"dropout": 0.5, "schedule": "linear"}, {"rotation": 7.5, "nesterov": True}]
    driven = make_driven(space=SPACE, initial_points=points)
    one, two, three = (driven.suggest(name).hyperparameters for name in "abc")
    assert (one["dropout"], one["schedule"]) == (0.5, "linear")
    assert (two["rotation"], two["nesterov"]) == (7.5, True)
    for values in (one, two, three):
        _require_inside_space(values)


@pytest.mark.parametrize(("trials", "learns"), [(8, True), (40, False)])
def test_gaussian_process_learns_early_in_a_short_sweep(trials, learns):
    def fourth(is_better: Callable[[float], float]) -> Any:
        driven = make_driven(
            searcher="gp", trials=trials, epochs=1, space=DROPOUT, initial_points=[]
        )
        return driven.draw(4, lambda values: 0.9 + 0.1 * is_better(values["dropout"]))[3][
            "dropout"
        ]

    assert (fourth(lambda dropout: dropout) != fourth(lambda dropout: 0.5 - dropout)) == learns


def test_assignment_has_number_and_seed_and_what_is_fixed():
    driven = make_driven(
        model="mlp",
        epochs=4,
        seed=7,
        recipe={"batch_size": 32, "shift": 0.1, "momentum": 0.8},
        space={"dropout": {"low": 0.2, "high": 0.3}},
        initial_points=[{"dropout": 0.25}],
    )
    fixed = {"batch_size": 32, "shift": 0.1, "momentum": 0.8, "dropout": 0.25}
    assert driven.suggest("a") == Assignment(
        "trial-0001", trial_seed(7, 1), "mlp", 4, complete(fixed), key=1
    )
    second = driven.suggest("b")
    assert (second.name, second.seed, second.key) == ("trial-0002", trial_seed(7, 2), 2)


def _require_inside_space(values: dict[str, Any]) -> None:
    for name, dimension in SweepConfig.model_validate({"space": SPACE}).space.items():
        assert dimension.why_invalid(values[name]) is None


@pytest.mark.parametrize("name", SEARCHERS)
def test_every_kind_of_dimension_is_drawn_inside_its_range(name):
    driven = make_driven(space=SPACE, initial_points=[], searcher=name, epochs=1)
    draws = driven.draw(12, lambda values: 0.93)
    for values in draws:
        _require_inside_space(values)
    for dimension in SPACE:
        assert len({values[dimension] for values in draws}) > 1, dimension


def test_log_dimension_is_drawn_uniformly_in_its_logarithm():
    space = {"weight_decay": SPACE["weight_decay"]}
    driven = make_driven(space=space, initial_points=[], searcher="random", epochs=1)
    draws = driven.draw(200, lambda values: 0.9)
    n_low = sum(values["weight_decay"] < 1e-4 for values in draws)
    # Half of 200 fair draws, standard deviation 7.1: five of them are missed once in 2 million.
    assert abs(n_low - 100) < 36


@pytest.mark.parametrize("name", ["tpe", "random", SLOW_GP])
def test_one_trial_at_a_time_is_repeated_exactly(name):
    def draw(seed: int, n: int) -> list[dict[str, Any]]:
        given = {"space": SPACE, "initial_points": [], "searcher": name, "seed": seed}
        driven = make_driven(**given, epochs=1)
        return driven.draw(n, lambda values: 0.9 + values["dropout"] / 10)

    assert draw(0, 12) == draw(0, 12)  # the first 10 are random ones with every searcher
    assert draw(0, 1) != draw(1, 1)


@pytest.mark.parametrize("name", ["tpe", SLOW_GP])
def test_searcher_draws_where_it_was_good(name):
    driven = make_driven(space=DROPOUT, initial_points=[], searcher=name, epochs=1)
    draws = driven.draw(25, lambda values: float(0.99 - (values["dropout"] - 0.4) ** 2))
    # Uniform draws would lie within 0.1 of the best with probability 0.4: five of eight or
    # more of them in one run of six. The seed is fixed, and so is the outcome.
    assert sum(abs(values["dropout"] - 0.4) < 0.1 for values in draws[-8:]) >= 6


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_trials_that_learn_nothing_do_not_blind_a_gaussian_process(seed):
    """Good and best differ by tenths of a percent; accuracies alone give 0.9914 and 0.9925."""
    space = {name: SPACE[name] for name in ("dropout", "weight_decay")}
    driven = make_driven(space=space, initial_points=[], searcher="gp", seed=seed, epochs=1)

    def evaluate(values: dict[str, Any]) -> float:
        exponent = math.log10(values["weight_decay"])
        accuracy = 0.994 - 0.02 * (values["dropout"] - 0.1) ** 2 - 0.0008 * (exponent + 3.5) ** 2
        return float(accuracy if exponent > -5 else 0.11)

    draws = driven.draw(25, evaluate)
    assert statistics.median(map(evaluate, draws[-8:])) > 0.993


@pytest.mark.parametrize(
    ("schedule", "score"), [("constant", (0.92 + 0.96 + 0.97) / 3), ("linear", 0.97)]
)
def test_complete_trial_has_the_score_that_the_best_is_chosen_by(schedule, score):
    space = {"dropout": SPACE["dropout"]}
    driven = make_driven(space=space, recipe={"schedule": schedule}, epochs=4)
    driven.suggest("a")
    driven.end("a", 0.9, 0.92, 0.96, 0.97)
    (trial,) = driven.study.trials
    assert trial.state == TrialState.COMPLETE
    assert trial.value == pytest.approx(objective(score))
    assert trial.intermediate_values == {1: 0.9, 2: 0.92, 3: 0.96, 4: 0.97}


def test_every_trial_ends_in_the_study():
    driven = make_driven(epochs=4)
    for name in "abcde":
        driven.suggest(name)
    driven.end("a", 0.9, 0.9, 0.9, 0.9)
    driven.end("b", 0.5, 0.6)
    driven.end("c", 0.5, failed=True)
    driven.end("d", 0.5, 0.6, 0.7, 0.8, error=True)
    driven.end("e", error=True)
    driven.end("e", error=True)  # reported twice
    driven.searcher.on_trial_complete("never-suggested", FAILED)
    names = ["COMPLETE", "PRUNED", "FAIL", "FAIL", "FAIL"]
    assert [trial.state.name for trial in driven.study.trials] == names
    pruned = driven.study.trials[1]
    assert (pruned.value, pruned.intermediate_values) == (0.6, {1: 0.5, 2: 0.6})
    assert [trial.value for trial in driven.study.trials[2:]] == [None] * 3
    assert driven.study.best_trial.number == 0


def test_searcher_is_saved_without_its_study():
    assert pickle.loads(pickle.dumps(make_driven().searcher)).__dict__ == {}


@pytest.fixture
def cut_off() -> Ledger:
    """A sweep that was cut off while trials 3 and 6 ran and before trial 4 was recorded."""
    ledger = begin_ledger(SweepConfig.model_validate(CUT_OFF))
    record(ledger, 1, [0.9, 0.92, 0.94, 0.96], "COMPLETE", dropout=0.01, rotation=0.0)
    record(ledger, 2, [0.5], "STOPPED", dropout=0.02, rotation=0.0)
    record(ledger, 3, [0.8, 0.9], None, dropout=0.03, rotation=0.0)
    record(ledger, 5, [0.3], "FAILED", dropout=0.05, rotation=0.0)
    record(ledger, 6, [], None, dropout=0.06, rotation=0.0)
    return ledger


CUT_OFF = {
    "epochs": 4,
    "trials": 9,
    "space": DROPOUT,
    "initial_points": [{"dropout": point / 100} for point in range(1, 8)],
}


def test_resumed_searcher_proposes_what_was_cut_off_under_its_own_number(cut_off):
    driven = make_driven(cut_off, **CUT_OFF)
    trials = driven.study.trials
    states = ["COMPLETE", "PRUNED", "WAITING", "WAITING", "FAIL", "WAITING"]
    assert [trial.state.name for trial in trials[:6]] == states
    assert trials[0].value == pytest.approx(objective(0.94))
    assert trials[0].intermediate_values == {1: 0.9, 2: 0.92, 3: 0.94, 4: 0.96}
    assert trials[0].params == {"dropout": 0.01}
    assert (trials[1].value, trials[1].intermediate_values) == (0.5, {1: 0.5})
    assert trials[4].value is None

    assignments = [driven.suggest(name) for name in "abcdef"]
    numbers = list(driven.numbers.values())
    assert numbers == [3, 4, 6, 7, 8, 9]
    # Trial 4 was the fourth of the initial points and never began; the seventh is still to come.
    dropouts = [assignment.hyperparameters["dropout"] for assignment in assignments]
    assert dropouts[:4] == [0.03, 0.04, 0.06, 0.07]
    assert [assignment.seed for assignment in assignments] == [trial_seed(0, n) for n in numbers]
    driven.end("a", 0.8, 0.9, 0.91, 0.92)
    assert driven.study.trials[2].intermediate_values == {1: 0.8, 2: 0.9, 3: 0.91, 4: 0.92}


def test_trial_that_was_cut_off_goes_on_as_it_began_whatever_has_changed(cut_off):
    driven = make_driven(
        cut_off,
        epochs=2,
        seed=1,
        recipe={"learning_rate": 0.5},
        space={"dropout": {"low": 0.05, "high": 0.1}, "momentum": {"low": 0.0, "high": 0.5}},
    )
    old, gap = (driven.suggest(name) for name in "ab")
    hyperparameters = old.hyperparameters
    assert (old.epochs, old.seed, hyperparameters["dropout"]) == (4, cut_off.trials[3].seed, 0.03)
    assert (hyperparameters["momentum"], hyperparameters["learning_rate"]) == (0.9, 0.01)
    assert (gap.epochs, gap.hyperparameters["learning_rate"]) == (2, 0.5)
    driven.end("a", 0.8, 0.9)
    # Neither its dropout nor its momentum is in today's space.
    trial = driven.study.trials[2]
    assert (trial.state, trial.params) == (TrialState.COMPLETE, {})


@pytest.mark.parametrize("is_cut_off", [True, False])
def test_trial_from_before_a_value_was_searched_has_its_fixed_value(is_cut_off, cut_off):
    accuracies = (0.8, 0.9, 0.91, 0.92)
    log = {"low": 0.005, "high": 0.2, "log": True}
    space = DROPOUT | {"learning_rate": log, "schedule": SPACE["schedule"]}
    if not is_cut_off:
        record(cut_off, 3, list(accuracies), "COMPLETE")
    driven = make_driven(cut_off, space=space, epochs=4)
    if is_cut_off:
        trained = driven.suggest("a").hyperparameters
        assert (trained["dropout"], trained["learning_rate"]) == (0.03, 0.01)
        driven.end("a", *accuracies)
    trial = driven.study.trials[2]
    assert trial.state == TrialState.COMPLETE
    assert trial.params == {"dropout": 0.03, "learning_rate": 0.01, "schedule": "constant"}
    assert trial.value == pytest.approx(objective(0.91))


@pytest.mark.parametrize("budget", [None, "3s"])
def test_last_trial_repeats_a_preview_rather_than_an_initial_point(budget):
    points = [{"dropout": value} for value in (0.1, 0.2, 0.3, 0.4)]
    config = SweepConfig.model_validate(
        {
            "space": DROPOUT,
            "initial_points": points,
            "scheduler": {"name": "preview", "grace_period": 1},
            "epochs": 2,
            "trials": 40 if budget else 3,
            "time_budget": budget,
        }
    )
    driven = Driven(config, ledger := begin_ledger(config))
    for number, accuracy in enumerate((0.9, 0.8), start=1):
        preview = driven.suggest(f"t{number}")
        assert preview.epochs == 1
        values = {"dropout": preview.hyperparameters["dropout"]}
        ledger.apply(trial_started(number, values, seed=preview.seed, preview_epochs=1))
        record(ledger, number, [accuracy], "STOPPED")
        driven.searcher.on_trial_complete(f"t{number}", make_result(accuracy, epochs=1))
    last = driven.suggest("c")
    assert (last.epochs, last.repeats, last.hyperparameters["dropout"]) == (2, 1, 0.1)


def test_resumed_searcher_does_not_repeat_its_draws():
    given: dict[str, Any] = {"space": DROPOUT, "initial_points": [], "epochs": 1}
    before = [values["dropout"] for values in make_driven(**given).draw(5, lambda values: 0.9)]
    ledger = begin_ledger(SweepConfig.model_validate(given))
    for number, dropout in enumerate(before, start=1):
        record(ledger, number, [0.9], "COMPLETE", dropout=dropout)
    more = make_driven(ledger, **given).draw(5, lambda values: 0.9)
    assert not any(math.isclose(values["dropout"], old) for values in more for old in before)
