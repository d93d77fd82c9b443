"""The comparison of sweeps: Syne Tune with its Python backend, one process per trial.

After https://github.com/syne-tune/syne-tune/blob/main/examples/launch_height_python_backend.py.
"""

import os
import sys

from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import PythonBackend
from syne_tune.config_space import loguniform, uniform
from syne_tune.optimizer.baselines import ASHA

from arms import problem
from arms.marks import mark


def train_mnist(dropout, rotation, shift, weight_decay, folder):
    # Syne Tune sends this function alone to the trial's process, so it imports what it needs.
    from syne_tune import Reporter

    from arms.idiomatic import train

    report = Reporter()
    point = {
        "dropout": dropout,
        "rotation": rotation,
        "shift": shift,
        "weight_decay": weight_decay,
    }
    for epoch, accuracy in enumerate(train(folder, point), start=1):
        report(epoch=epoch, val_accuracy=accuracy)


class FiniteASHA(ASHA):
    """Proposes `N_TRIALS` trials; with any other criterion one more may start."""

    n_proposed = 0

    def suggest(self):
        if self.n_proposed == problem.N_TRIALS:
            return None
        self.n_proposed += 1
        return super().suggest()


if __name__ == "__main__":
    folder = {"folder": sys.argv[1]}
    space = problem.each_range(uniform, loguniform) | folder
    scheduler = FiniteASHA(
        space,
        metric="val_accuracy",
        do_minimize=False,
        time_attr="epoch",
        max_t=problem.EPOCHS,
        **problem.HALVING,
        points_to_evaluate=[point | folder for point in problem.draw_points()],
        random_seed=0,
    )
    os.environ["SYNETUNE_FOLDER"] = f"{sys.argv[1]}/syne-tune-{os.getpid()}"
    tuner = Tuner(
        trial_backend=PythonBackend(tune_function=train_mnist, config_space=space),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_wallclock_time=3600),
        n_workers=problem.WORKERS,
    )
    mark("started")
    tuner.run()
    trials = tuner.tuning_status.trial_rows
    mark("done", epochs=sum(row.get("epoch", 0) for row in trials.values()), trials=len(trials))
