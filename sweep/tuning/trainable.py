"""The trainable: an actor that trains one network after another, one epoch per step."""

from typing import Any

from ray import tune


class SweepTrainable(tune.Trainable):
    """Trains the network that its config assigns; then the actor is reused for the next one.

    Ray retries only when the process dies. The retry continues from the checkpoint that each
    step writes before it reports.
    """

    def setup(self, config: dict[str, Any], **shared: Any) -> None:
        """Make the worker from what all its trainings share, and prepare the first."""
        # Importing torch takes seconds, and the driver, which imports this file, needs none.
        from sweep.training.worker import Worker

        self._worker = Worker(**shared)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare the next training."""
        self._worker.assign(new_config["assignment"])
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch."""
        return self._worker.step().to_result()
