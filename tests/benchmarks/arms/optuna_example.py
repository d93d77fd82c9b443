"""The comparison of sweeps: Optuna, two processes on one study.

After https://github.com/optuna/optuna-examples/blob/main/pytorch/pytorch_simple.py, whose
objective trains, reports and prunes, and Optuna's page on distributed optimization: several
processes on one study in a file.
"""

import multiprocessing
import sys
import tempfile
from pathlib import Path

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.trial import TrialState

from arms.idiomatic import train
from arms.marks import mark
from arms.problem import HALVING, N_TRIALS, SPACE, WORKERS, draw_points


def open_study(path: str) -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend(path)
    return optuna.create_study(
        study_name="mnist",
        storage=optuna.storages.JournalStorage(backend),
        direction="maximize",
        load_if_exists=True,
        pruner=SuccessiveHalvingPruner(
            min_resource=HALVING["grace_period"], reduction_factor=HALVING["reduction_factor"]
        ),
    )


def work(path: str, folder: str) -> None:
    study = open_study(path)

    def objective(trial: optuna.Trial) -> float:
        if trial.number >= N_TRIALS:  # all have begun
            study.stop()
            raise optuna.TrialPruned
        point = {
            name: trial.suggest_float(name, one.low, one.high, log=one.log)
            for name, one in SPACE.items()
        }
        for epoch, accuracy in enumerate(train(folder, point), start=1):
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
