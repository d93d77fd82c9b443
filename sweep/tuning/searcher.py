"""Ray Tune searcher backed by an Optuna study."""

import itertools
import math
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial
from ray.tune.search import Searcher

from analysis.records.files import trial_name
from analysis.records.ledger import EarlierTrial, Ledger, Trial
from analysis.records.seeds import sampler_seed, trial_seed
from analysis.results.budget import n_planned
from analysis.results.selection import preview_score, selection_score, trial_score
from analysis.results.study import STATES, optuna_trial
from sweep.config import SweepConfig
from sweep.config.dimensions import Choices, Dimension, IntRange
from sweep.config.registry import SEARCHERS
from sweep.networks import initial_points
from sweep.training.assignment import METRIC, Assignment
from sweep.tuning.ray_private import NotPickled

_LEAST_ERROR = 1e-6  # less than an image in a million is wrong: no score counts as better

optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(score: float) -> float:
    """Return what the study maximizes: minus the logarithm of a score's error.

    TPE uses only the order, which is that of the scores. A Gaussian process fits the values:
    next to a trial that learned nothing, with a score of 0.11, all good scores would look
    alike, and its search would be worse than random.
    """
    return -math.log(max(1 - score, _LEAST_ERROR))


class StudySearcher(NotPickled, Searcher):
    """Proposes trials from an Optuna study, numbered from 1 as the ledger numbers them.

    The study starts with the trials of an earlier sweep, if the ledger has any, and with those
    of the ledger. Interrupted ones are proposed again, under their own numbers, before any new
    one. The ledger grows while the sweep runs.

    A trial that ran all its epochs is COMPLETE in the study, with the score that the best is
    chosen by. One that was stopped early is PRUNED at its last epoch, and one that failed is
    FAIL. In a sweep with previews the searcher learns from these alone: they are COMPLETE. The
    other trials repeat a preview with all epochs. Their scores do not compare with those of
    previews, so they are FAIL.

    Ray's own adapter reports a trial that was stopped early as COMPLETE and without its last
    epoch, and leaves one that diverged RUNNING forever.
    """

    def __init__(self, config: SweepConfig, ledger: Ledger) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._config, self._ledger = config, ledger
        self._distributions = {name: _distribution(d) for name, d in config.space.items()}
        self._n_past, points = max(ledger.trials, default=0), initial_points(config)
        make_sampler = resolve_name(SEARCHERS[config.searcher])
        options = {}
        if config.searcher == "gp":  # Optuna's 10 random trials may be all of them
            options["n_startup_trials"] = max(3, min(10, config.trials // 3))
        sampler = make_sampler(seed=sampler_seed(config.seed, self._n_past), **options)
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self._running: dict[str, tuple[optuna.Trial, Assignment]] = {}
        earlier, self._n_earlier = ledger.created.earlier, 0
        if earlier is not None:
            self.study.add_trials(map(self._earlier, earlier.trials))
            self._n_earlier = len(earlier.trials)
            if earlier.point is not None:
                points.append(self._in_space(earlier.point))
        # Optuna numbers from 0 what it is given, waiting or not, and proposes what waits first.
        # So each trial keeps its number. A driver may have been killed before it recorded a
        # number, which is then proposed as for the first time.
        self._points = dict(enumerate(points, start=1))
        for number in range(1, self._n_past + 1):
            trial = ledger.trials.get(number)
            if trial is None:
                self.study.enqueue_trial(dict(self._points.get(number, {})))
            elif trial.state == "RUNNING":
                self.study.enqueue_trial(self._values_in_space(trial))
            else:
                self.study.add_trial(self._finished(trial))
        ended = {trial.trial_id for trial in ledger.trials.values() if trial.state != "RUNNING"}
        self._numbers = (number for number in itertools.count(1) if number not in ended)

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """Return the config of the next trial, which Tune calls `trial_id`.

        It is FINISHED once the time budget allows no further trial.
        """
        number, config, n_trials = next(self._numbers), self._config, n_planned(self._ledger)
        if config.time_budget is not None and number > n_trials:
            return str(Searcher.FINISHED)
        begun = self._ledger.trials.get(number)
        is_waiting = number <= self._n_past
        epochs, repeats = config.epochs_of(number, n_trials), None
        if begun is None and epochs > (config.preview_epochs or epochs):
            if not is_waiting and (number == n_trials or number not in self._points):
                repeats = self._best_preview()
            if repeats is None and number < n_trials:  # there is nothing to repeat yet
                epochs = config.preview_epochs or epochs
        if repeats is not None:
            self.study.enqueue_trial(self._values_in_space(repeats))
        elif not is_waiting and number in self._points:
            self.study.enqueue_trial(dict(self._points[number]))
        # A trial that has begun has its own values, also where today's space is another.
        names = self._distributions if begun is None else self._values_in_space(begun)
        trial = self.study.ask({name: self._distributions[name] for name in names})
        assert trial.number + 1 - self._n_earlier == number  # a study counts from 0
        seed, draw = trial_seed(config.seed, number), trial.params
        if begun is not None:
            config = SweepConfig.model_validate(begun.config)
            seed, draw, epochs = begun.seed, begun.hyperparameters, begun.planned_epochs
        assignment = Assignment(
            name=trial_name(number),
            seed=seed,
            model=config.model,
            epochs=epochs,
            hyperparameters=config.hyperparameters(draw),
            key=number,
            repeats=None if repeats is None else repeats.trial_id,
        )
        self._running[trial_id] = trial, assignment
        return {"assignment": assignment}

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Report how a trial ended; `error` means that its process died once too often."""
        if trial_id not in self._running:
            return
        trial, assignment = self._running.pop(trial_id)
        ended = self._ledger.trials.get(assignment.key)
        accuracies = [] if ended is None else [epoch.val_accuracy for epoch in ended.epochs]
        for epoch, accuracy in enumerate(accuracies, start=1):
            trial.report(accuracy, epoch)
        outcome, value = "FAILED", None
        if result is not None and not error and (ended is None or self._teaches(ended)):
            outcome = result["report"].outcome()
        if outcome == "COMPLETE":
            assert ended is not None  # its last epoch is recorded before
            value = objective(selection_score(ended))
        self.study.tell(trial, value, state=STATES[outcome], skip_if_finished=True)

    def _teaches(self, trial: Trial) -> bool:
        """Return whether the searcher learns from a trial; with previews, from these alone."""
        return trial.preview_epochs == self._config.preview_epochs

    def _best_preview(self) -> Trial | None:
        """Return the best preview that no trial repeats."""
        trials = self._ledger.trials.values()
        repeated = {trial.repeats for trial in trials}
        repeated |= {assignment.repeats for _, assignment in self._running.values()}
        recipe = self._ledger.config["recipe"]
        scores = {
            trial.trial_id: score
            for trial in trials
            if (score := preview_score(trial)) is not None
            and self._teaches(trial)
            and trial.trial_id not in repeated
            and trial.config["recipe"] == recipe
            and self._values_in_space(trial).keys() == self._config.space.keys()
        }
        return self._ledger.trials[max(scores, key=scores.__getitem__)] if scores else None

    def _values_in_space(self, trial: Trial) -> dict[str, Any]:
        """Return the values of a trial, drawn or fixed, that today's space contains."""
        return self._in_space({name: trial.value(name) for name in self._config.space})

    def _in_space(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that today's space contains."""
        return {
            name: value
            for name, dimension in self._config.space.items()
            if (value := values.get(name)) is not None and dimension.why_invalid(value) is None
        }

    def _earlier(self, trial: EarlierTrial) -> FrozenTrial:
        """Return a trial of an earlier sweep as a trial of the study."""
        values = self._in_space(trial.hyperparameters)
        return optuna.trial.create_trial(
            state=STATES[trial.state],
            value=None if trial.score is None else objective(trial.score),
            params=values,
            distributions={name: self._distributions[name] for name in values},
            intermediate_values=dict(enumerate(trial.val_accuracies, start=1)),
        )

    def _finished(self, trial: Trial) -> FrozenTrial:
        """Return a trial of the ledger as a trial of the study."""
        names = self._values_in_space(trial)
        finished = optuna_trial(trial, {name: self._distributions[name] for name in names})
        score = preview_score(trial) if self._config.preview_epochs else trial_score(trial)
        if not self._teaches(trial):
            finished.state, finished.value = STATES["FAILED"], None
        elif score is not None:
            finished.state, finished.value = STATES["COMPLETE"], objective(score)
        return finished


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.choices)
    if isinstance(dimension, IntRange):
        return IntDistribution(dimension.low, dimension.high, dimension.log, dimension.step or 1)
    return FloatDistribution(dimension.low, dimension.high, dimension.log, dimension.step)
