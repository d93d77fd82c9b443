"""A search with Ray Tune's default settings, for the arms that use them."""

from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from arms import problem
from arms.marks import mark


def search(trainable: Callable[..., Any]) -> None:
    """Run the trials, one processor each."""
    ray.init(num_cpus=problem.WORKERS)
    mark("started")
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=problem.each_range(tune.uniform, tune.loguniform),
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=problem.N_TRIALS,
            search_alg=OptunaSearch(points_to_evaluate=problem.draw_points()),
            scheduler=ASHAScheduler(max_t=problem.EPOCHS, **problem.HALVING),
        ),
    )
    results = tuner.fit()
    assert results.num_errors == 0
    epochs = sum(result.metrics["training_iteration"] for result in results)
    mark("done", epochs=epochs, trials=len(results))
