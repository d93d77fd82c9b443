"""What Ray runs: one actor that trains one network after another, an epoch a step."""

from typing import Any

from ray import tune

from data_utils.dataset import ImageDataset
from sweep.training.assignment import Assignment, WorkerSettings


class SweepTrainable(tune.Trainable):
    """Trains what its config assigns to it; the actor is then reused for the next one.

    Only a process that dies is for Ray to retry, and the retry goes on from the checkpoint
    that the last step wrote before it reported.
    """

    def setup(
        self,
        config: dict[str, Any],
        train: ImageDataset,
        evaluation: ImageDataset,
        settings: WorkerSettings,
    ) -> None:
        """Keeps what all trainings share and prepares the first."""
        # Torch takes seconds to import: the driver, which does not train, need not wait.
        from sweep.training.worker import Worker

        self._worker = Worker(train, evaluation, settings)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepares the next training."""
        self._worker.assign(Assignment.from_config(new_config))
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch."""
        return self._worker.step().to_result()
