"""Sweeps on a recorded problem: the real searchers and schedulers, driven as Ray Tune drives them.

Two trainings run at a time; an epoch takes about a second of simulated time, and nothing else
takes any.
"""

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import optuna
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from analysis.records.epochs import Epoch
from analysis.records.ledger import Ledger, SweepCreated
from analysis.results.selection import rank_trials
from analysis.storage.journal import FORMAT
from recorded_problem import EPOCHS, RecordedProblem
from sweep.config import SweepConfig
from sweep.config.dimensions import FloatRange
from sweep.config.resolve import resolve_config
from sweep.driver.search import TrialRecorder
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE, Assignment, Report
from sweep.tuning.scheduler import build_scheduler
from sweep.tuning.searcher import StudySearcher

SLOTS = 2
SPACE = resolve_config(preset="best").space


@dataclass(frozen=True)
class Chosen:
    """What a sweep ends with: its best hyperparameters, and the accuracy that it shows."""

    hyperparameters: dict[str, Any]
    shown: float


@dataclass
class Training:
    """A training that runs: its hyperparameters, and the accuracies that it will reach."""

    name: str
    hyperparameters: dict[str, Any]
    accuracies: list[float]
    epoch: int = 0
    assignment: Assignment | None = None


class Tuner(Protocol):
    """What a sweep is driven by."""

    def start(self, name: str) -> tuple[dict[str, Any], int, Assignment | None] | None:
        """Return the next training's hyperparameters and epochs; None if there is none."""

    def result(self, training: Training) -> bool:
        """Take the accuracy of an epoch; return whether the training goes on."""

    def end(self, training: Training) -> None:
        """Take the end of a training."""

    def choose(self) -> Chosen | None:
        """Return what the sweep ends with."""


def simulate(tuner: Tuner, problem: RecordedProblem, budget: int, seed: int) -> Chosen | None:
    """Run a sweep until it has trained `budget` epochs; what then runs does not count."""
    random = np.random.default_rng([seed, budget])
    names = (f"t{number}" for number in itertools.count())
    agenda: list[tuple[float, int, Training]] = []

    def fill(now: float, slot: int) -> None:
        name = next(names)
        if (begun := tuner.start(name)) is not None:
            hyperparameters, epochs, assignment = begun
            curve = problem.curve(hyperparameters, epochs, random)
            training = Training(name, hyperparameters, curve, assignment=assignment)
            heapq.heappush(agenda, (now + random.uniform(0.97, 1.03), slot, training))

    for slot in range(SLOTS):
        fill(0.0, slot)
    n_epochs = 0
    while agenda and n_epochs < budget:
        now, slot, training = heapq.heappop(agenda)
        training.epoch += 1
        n_epochs += 1
        if tuner.result(training) and training.epoch < len(training.accuracies):
            heapq.heappush(agenda, (now + random.uniform(0.97, 1.03), slot, training))
        else:
            tuner.end(training)
            fill(now, slot)
    return tuner.choose()


class Project:
    """This project's searcher, scheduler and recorder, with the preset `best` and changes."""

    def __init__(self, budget: int, seed: int, **changes: Any) -> None:
        given = resolve_config(preset="best").model_dump() | {"seed": seed} | changes
        config = SweepConfig.model_validate(given | {"trials": 1_000})
        if config.scheduler.name != "asha":
            config = config.model_copy(update={"trials": _n_trials(config, budget)})
        self._config = config
        created = SweepCreated(0.0, FORMAT, "simulated", config.model_dump(mode="json"))
        self._ledger = Ledger(created)
        nothing = SimpleNamespace(files=list)
        folder: Any = SimpleNamespace(child=lambda name: nothing)
        writer: Any = SimpleNamespace(
            journal=self._ledger, append=self._ledger.apply, delete_when_safe=list
        )
        self._recorder = TrialRecorder(config, folder, writer, lambda: None)
        self._searcher = StudySearcher(config, self._ledger)
        self._scheduler = build_scheduler(config, self._ledger)

    def start(self, name: str) -> tuple[dict[str, Any], int, Assignment | None] | None:
        if len(self._ledger.trials) >= self._config.trials:
            return None
        suggested = self._searcher.suggest(name)
        assert isinstance(suggested, dict)
        assignment: Assignment = suggested["assignment"]
        self._recorder.start(assignment)
        return assignment.hyperparameters, assignment.epochs, assignment

    def result(self, training: Training) -> bool:
        assert training.assignment is not None
        trial = SimpleNamespace(config={"assignment": training.assignment})
        report = _report(training)
        decision = self._scheduler.on_trial_result(None, trial, report.to_result())
        self._recorder.epoch(training.assignment, report.epochs[-1])
        return decision == TrialScheduler.CONTINUE

    def end(self, training: Training) -> None:
        assert training.assignment is not None
        report = _report(training)
        self._searcher.on_trial_complete(training.name, report.to_result())
        self._recorder.end(training.assignment, report, None)

    def choose(self) -> Chosen | None:
        best = next(iter(rank_trials(self._ledger)), None)
        return None if best is None else Chosen(best.trial.hyperparameters, best.score)


class RayDefaults:
    """Ray Tune's `OptunaSearch` with `ASHAScheduler`, as Ray's documentation has them."""

    def __init__(self, budget: int, seed: int) -> None:
        space = {
            name: optuna.distributions.FloatDistribution(
                dimension.low, dimension.high, log=dimension.log
            )
            for name, dimension in SPACE.items()
            if isinstance(dimension, FloatRange)
        }
        self._searcher = OptunaSearch(space, metric=METRIC, mode="max", seed=seed)
        self._scheduler = ASHAScheduler(TIME_ATTRIBUTE, METRIC, "max", max_t=EPOCHS)
        self._last: list[tuple[float, dict[str, Any]]] = []

    def start(self, name: str) -> tuple[dict[str, Any], int, Assignment | None] | None:
        suggested = self._searcher.suggest(name)
        assert isinstance(suggested, dict)
        self._scheduler.on_trial_add(None, SimpleNamespace(trial_id=name))
        return suggested, EPOCHS, None

    def result(self, training: Training) -> bool:
        result = _result(training)
        trial = SimpleNamespace(trial_id=training.name)
        decision = self._scheduler.on_trial_result(None, trial, result)
        if decision == TrialScheduler.CONTINUE:
            self._searcher.on_trial_result(training.name, result)
        return bool(decision == TrialScheduler.CONTINUE)

    def end(self, training: Training) -> None:
        self._searcher.on_trial_complete(training.name, _result(training))
        self._last.append((_last(training), training.hyperparameters))

    def choose(self) -> Chosen | None:
        return _highest(self._last)


class SyneTune:
    """Syne Tune's asynchronous successive halving with a model: one of its `baselines`."""

    def __init__(self, budget: int, seed: int, method: str) -> None:
        from syne_tune.config_space import loguniform, uniform
        from syne_tune.optimizer import baselines

        space = {
            name: (loguniform if dimension.log else uniform)(dimension.low, dimension.high)
            for name, dimension in SPACE.items()
            if isinstance(dimension, FloatRange)
        }
        make = getattr(baselines, method)
        options = {"do_minimize": False, "random_seed": seed}
        self._scheduler = make(space, METRIC, TIME_ATTRIBUTE, EPOCHS, **options)
        self._open: dict[str, Any] = {}
        self._last: list[tuple[float, dict[str, Any]]] = []

    def start(self, name: str) -> tuple[dict[str, Any], int, Assignment | None] | None:
        from syne_tune.backend.trial_status import Trial

        hyperparameters = self._scheduler.suggest().config
        number = len(self._last) + len(self._open)
        self._open[name] = Trial(number, hyperparameters, datetime.now())
        self._scheduler.on_trial_add(self._open[name])
        return hyperparameters, EPOCHS, None

    def result(self, training: Training) -> bool:
        result = _result(training)
        decision = self._scheduler.on_trial_result(self._open[training.name], result)
        return bool(decision == "CONTINUE")

    def end(self, training: Training) -> None:
        self._scheduler.on_trial_remove(self._open.pop(training.name))
        self._last.append((_last(training), training.hyperparameters))

    def choose(self) -> Chosen | None:
        return _highest(self._last)


class OptunaLoop:
    """Optuna's own loop with a sampler and, by default, its default pruner (the median)."""

    def __init__(
        self,
        budget: int,
        seed: int,
        make_sampler: Callable[..., optuna.samplers.BaseSampler] = optuna.samplers.TPESampler,
        pruner: optuna.pruners.BasePruner | None = None,
    ) -> None:
        sampler = make_sampler(seed=seed)
        self._study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        self._open: dict[str, optuna.Trial] = {}
        self._complete: list[tuple[float, dict[str, Any]]] = []

    def start(self, name: str) -> tuple[dict[str, Any], int, Assignment | None] | None:
        trial = self._open[name] = self._study.ask()
        for parameter, dimension in SPACE.items():
            assert isinstance(dimension, FloatRange)
            trial.suggest_float(parameter, dimension.low, dimension.high, log=dimension.log)
        return dict(trial.params), EPOCHS, None

    def result(self, training: Training) -> bool:
        trial = self._open[training.name]
        trial.report(_last(training), training.epoch)
        return not trial.should_prune()

    def end(self, training: Training) -> None:
        trial = self._open.pop(training.name)
        if training.epoch < EPOCHS:
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return
        self._study.tell(trial, _last(training))
        self._complete.append((_last(training), training.hyperparameters))

    def choose(self) -> Chosen | None:
        return _highest(self._complete)


def _n_trials(config: SweepConfig, budget: int) -> int:
    """Return how many trials use up the budget."""
    epochs = itertools.accumulate(config.epochs_of(number, -1) for number in itertools.count(1))
    fitting = sum(1 for _ in itertools.takewhile(lambda n: n <= budget - config.epochs, epochs))
    return fitting + 1


def _report(training: Training) -> Report:
    accuracy, is_last = _last(training), training.epoch == len(training.accuracies)
    epoch = Epoch(training.epoch, 0.1, 0.9, 0.05, accuracy, 1.0, 1e4)
    return Report((epoch,), is_last=is_last)


def _result(training: Training) -> dict[str, Any]:
    return {METRIC: _last(training), TIME_ATTRIBUTE: training.epoch}


def _last(training: Training) -> float:
    return training.accuracies[training.epoch - 1]


def _highest(ended: list[tuple[float, dict[str, Any]]]) -> Chosen | None:
    shown, hyperparameters = max(ended, key=lambda one: one[0], default=(-math.inf, {}))
    return Chosen(hyperparameters, shown) if ended else None
