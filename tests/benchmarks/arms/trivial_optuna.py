"""Trials that do nothing, by Optuna alone: one process, the study in a file."""

import sys
import tempfile
from pathlib import Path

import optuna

from arms.marks import mark
from arms.problem import SPACE


def objective(trial: optuna.Trial) -> float:
    return sum(trial.suggest_float(name, one.low, one.high) for name, one in SPACE.items())


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        backend = optuna.storages.journal.JournalFileBackend(str(Path(scratch) / "journal"))
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        mark("began")
        mark("started")
        study.optimize(objective, n_trials=int(sys.argv[1]))
        mark("done", trials=len(study.trials))
