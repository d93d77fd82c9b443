"""The searcher: an Optuna study that Ray Tune asks for trials and tells the truth."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial
from ray.tune.search import Searcher

from analysis.records.files import trial_name
from analysis.records.ledger import Ledger, Trial
from analysis.records.seeds import sampler_seed, trial_seed
from analysis.results.selection import selection_score
from analysis.results.study import STATES, optuna_trial
from sweep.config import SweepConfig
from sweep.training.assignment import METRIC, Assignment, Report
from sweep.tuning.space import distributions

TRIAL_ID = "trial_id"

_LEAST_ERROR = 1e-6  # no score is told as better: less than an image in a million is wrong

optuna.logging.set_verbosity(optuna.logging.WARNING)


def build_sampler(name: str, seed: int) -> BaseSampler:
    """Builds the Optuna sampler behind a searcher's name: `tpe`, `random` or `gp`."""
    match name:
        case "tpe":
            return TPESampler(seed=seed)
        case "random":
            return RandomSampler(seed=seed)
        case "gp":
            return GPSampler(seed=seed)
    raise ValueError(f"`searcher` must be tpe, random or gp, but got {name!r}")


def objective(score: float) -> float:
    """Returns what the study maximizes: minus the logarithm of a score's error.

    To TPE only the order matters, which is the scores'. A Gaussian process fits the values:
    beside a trial that learned nothing, with a score of 0.11, all good ones would be alike,
    and it would search worse than at random.
    """
    return -math.log(max(1 - score, _LEAST_ERROR))


class StudySearcher(Searcher):
    """Proposes trials from an Optuna study, numbered from 1 as the ledger numbers them.

    It begins with what the ledger holds: trials that have ended are told as they ended, and
    those that were cut off are proposed again, under their own number, before anything new.

    Ray's own adapter tells Optuna COMPLETE for a trial that was stopped early, leaves one
    that diverged RUNNING for ever, and never learns a stopped trial's last epoch. Here a
    trial that ran all its epochs is COMPLETE with the score that the best is chosen by,
    one stopped early is PRUNED at its last epoch, and one that failed is FAIL. The score is
    told as its `objective`.
    """

    def __init__(self, config: SweepConfig, ledger: Ledger) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._config, self._ledger = config, ledger
        self._distributions: dict[str, BaseDistribution] = distributions(config.space)
        n_past = max(ledger.trials, default=0)
        sampler = build_sampler(config.searcher, sampler_seed(config.seed, n_past))
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self._running: dict[str, tuple[optuna.Trial, Assignment]] = {}
        self._curves: dict[str, dict[int, float]] = {}
        # Optuna numbers what it is given from 0 on, waiting or not, and asks for what waits
        # first: so every trial keeps its number, and a number that a driver was killed
        # before it could record is proposed as if for the first time.
        for trial_id in range(1, n_past + 1):
            trial = ledger.trials.get(trial_id)
            if trial is None:
                point = config.first[trial_id - 1] if trial_id <= len(config.first) else {}
                self.study.enqueue_trial(self._searched(point))
            elif trial.state == "RUNNING":
                self.study.enqueue_trial(self._searched(trial.hyperparameters))
            else:
                self.study.add_trial(self._finished(trial))
        for point in config.first[n_past:]:
            self.study.enqueue_trial(self._searched(point))

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """Returns the config of the next trial, which Tune calls `trial_id`."""
        trial = self.study.ask(self._distributions)
        number = trial.number + 1
        config, seed, draw = self._config, trial_seed(self._config.seed, number), trial.params
        if number in self._ledger.trials:  # it goes on as what it began as
            begun = self._ledger.trials[number]
            config = SweepConfig.model_validate(begun.config)
            seed, draw = begun.seed, begun.hyperparameters
        assignment = Assignment(
            name=trial_name(number),
            seed=seed,
            model=config.model,
            epochs=config.epochs,
            hyperparameters=config.hyperparameters(draw),
        )
        self._running[trial_id] = trial, assignment
        self._curves[trial_id] = {}
        return {TRIAL_ID: number, **assignment.to_config()}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tells Optuna of an epoch, unless the trial ends with it."""
        self._report(trial_id, Report.from_result(result))

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tells Optuna how a trial ended; `error` where its process died once too often."""
        if trial_id not in self._running:
            return
        last = None if error or result is None else Report.from_result(result)
        if last is not None:
            self._report(trial_id, last)
        (trial, assignment), curve = self._running.pop(trial_id), self._curves.pop(trial_id)
        trained = assignment.hyperparameters
        outcome = "FAILED" if last is None else last.outcome()
        if any(trained[name] != value for name, value in trial.params.items()):
            outcome = "FAILED"  # what had begun is not in the space any more: Optuna drew another
        value = None
        if outcome == "COMPLETE":
            accuracies = [curve[epoch] for epoch in sorted(curve)]
            value = objective(selection_score(accuracies, schedule=trained["schedule"]))
        self.study.tell(trial, value, state=STATES[outcome], skip_if_finished=True)

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the ledger is what a sweep resumes from."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing: the ledger is what a sweep resumes from."""

    def _report(self, trial_id: str, report: Report) -> None:
        curve = self._curves[trial_id]
        for metrics in report.epochs:
            if metrics.epoch not in curve:  # a retried trial tells its last epoch once more
                curve[metrics.epoch] = metrics.val_accuracy
                self._running[trial_id][0].report(metrics.val_accuracy, metrics.epoch)

    def _searched(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """Those that are in the space, which may have been another when a trial began."""
        space = self._config.space
        return {
            name: value
            for name, value in hyperparameters.items()
            if name in space and space[name].refusal(value) is None
        }

    def _finished(self, trial: Trial) -> FrozenTrial:
        """A trial of the ledger's, as Optuna would know it."""
        searched = self._searched({name: trial.value(name) for name in self._distributions})
        known = {name: self._distributions[name] for name in searched}
        finished = optuna_trial(trial, known)
        if trial.state == "COMPLETE":
            assert finished.value is not None
            finished.value = objective(finished.value)
        return finished
