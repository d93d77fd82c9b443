"""What the arms with Ray Tune as it comes have in common."""

from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from arms.marks import mark
from arms.problem import (
    BOUNDS,
    EPOCHS,
    GRACE_PERIOD,
    LOGARITHMIC,
    N_TRIALS,
    REDUCTION_FACTOR,
    WORKERS,
    draw_points,
)


def search(trainable: Callable[..., Any]) -> None:
    """Runs the trials with Tune's defaults, one processor each."""
    ray.init(num_cpus=WORKERS)
    mark("started")
    space = {
        name: (tune.loguniform if name in LOGARITHMIC else tune.uniform)(*bounds)
        for name, bounds in BOUNDS.items()
    }
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=N_TRIALS,
            search_alg=OptunaSearch(points_to_evaluate=draw_points()),
            scheduler=ASHAScheduler(
                max_t=EPOCHS, grace_period=GRACE_PERIOD, reduction_factor=REDUCTION_FACTOR
            ),
        ),
    )
    results = tuner.fit()
    assert results.num_errors == 0
    epochs = sum(result.metrics["training_iteration"] for result in results)
    mark("done", epochs=epochs, trials=len(results))
