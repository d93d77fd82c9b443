"""Trials that do nothing, under Ray Tune's default settings."""

import sys

import ray
from ray import tune

from arms.marks import mark
from arms.problem import BOUNDS, WORKERS


def do_nothing(config):
    mark("began")
    tune.report({"val_accuracy": config["dropout"]})


if __name__ == "__main__":
    ray.init(num_cpus=WORKERS)
    mark("started")
    space = {name: tune.uniform(*bounds) for name, bounds in BOUNDS.items()}
    tune_config = tune.TuneConfig(num_samples=int(sys.argv[1]), metric="val_accuracy", mode="max")
    results = tune.Tuner(do_nothing, param_space=space, tune_config=tune_config).fit()
    assert results.num_errors == 0
    mark("done", trials=len(results))
