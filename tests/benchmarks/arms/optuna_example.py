"""The comparison of sweeps: Optuna, two processes on one study.

After https://github.com/optuna/optuna-examples/blob/main/pytorch/pytorch_simple.py, whose
objective trains, reports and prunes, and Optuna's page on distributed optimization: the same
study, in a file, from several processes.
"""

import multiprocessing
import sys
import tempfile
from pathlib import Path

import optuna
from optuna.trial import TrialState

from arms.idiomatic import train
from arms.marks import mark
from arms.problem import (
    BOUNDS,
    GRACE_PERIOD,
    LOGARITHMIC,
    N_TRIALS,
    REDUCTION_FACTOR,
    WORKERS,
    draw_points,
    with_recipe,
)


def open_study(path: str) -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend(path)
    return optuna.create_study(
        study_name="mnist",
        storage=optuna.storages.JournalStorage(backend),
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.SuccessiveHalvingPruner(
            min_resource=GRACE_PERIOD, reduction_factor=REDUCTION_FACTOR
        ),
    )


def work(path: str, folder: str) -> None:
    study = open_study(path)

    def objective(trial: optuna.Trial) -> float:
        if trial.number >= N_TRIALS:  # all are taken
            study.stop()
            raise optuna.TrialPruned
        point = {
            name: trial.suggest_float(name, *bounds, log=name in LOGARITHMIC)
            for name, bounds in BOUNDS.items()
        }
        for epoch, accuracy in enumerate(train(folder, with_recipe(point)), start=1):
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    study.optimize(objective)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        path = str(Path(scratch) / "journal")
        study = open_study(path)
        for point in draw_points():
            study.enqueue_trial(point)
        mark("started")
        processes = [
            multiprocessing.Process(target=work, args=(path, sys.argv[1])) for _ in range(WORKERS)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        trials = study.trials[:N_TRIALS]
        assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)
        mark("done", epochs=sum(len(t.intermediate_values) for t in trials), trials=len(trials))
