"""Trials that do nothing, under Ray Tune's default settings."""

import sys

import ray
from ray import tune

from arms.marks import mark
from arms.problem import WORKERS, each_range


def do_nothing(config):
    mark("began")
    tune.report({"val_accuracy": config["dropout"]})


if __name__ == "__main__":
    ray.init(num_cpus=WORKERS)
    mark("started")
    space = each_range(tune.uniform, tune.uniform)
    tune_config = tune.TuneConfig(num_samples=int(sys.argv[1]), metric="val_accuracy", mode="max")
    results = tune.Tuner(do_nothing, param_space=space, tune_config=tune_config).fit()
    assert results.num_errors == 0
    mark("done", trials=len(results))
