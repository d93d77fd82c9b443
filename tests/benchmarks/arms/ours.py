"""The comparison of sweeps: this project."""

from arms.problem import EPOCHS, GRACE_PERIOD, N_TRIALS, REDUCTION_FACTOR, draw_points, load_images
from arms.sweeping import search
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
    search(config, *load_images())
