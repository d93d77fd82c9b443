"""The comparison of sweeps: this project."""

from arms.problem import (
    EPOCHS,
    GRACE_PERIOD,
    N_TRAIN,
    N_TRIALS,
    N_VALIDATION,
    REDUCTION_FACTOR,
    draw_points,
)
from arms.sweeping import search
from data_utils.mnist import load_mnist
from sweep.config import SweepConfig

if __name__ == "__main__":
    config = SweepConfig(
        trials=N_TRIALS,
        epochs=EPOCHS,
        first=draw_points(),
        scheduler={
            "name": "asha",
            "grace_period": GRACE_PERIOD,
            "reduction_factor": REDUCTION_FACTOR,
        },
        confirm=None,
    )
    search(config, load_mnist().train.take(range(N_TRAIN + N_VALIDATION)))
