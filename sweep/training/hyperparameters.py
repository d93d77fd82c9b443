"""What one training run needs to know, beside its model, its data and its seed."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

Schedule = Literal["constant", "linear"]


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """One draw from the search space, joined with the recipe.

    Attributes:
        dropout: Probability of dropping an activation, in [0, 1).
        rotation: Largest angle in degrees, in [0, 180]; drawn uniformly from ±.
        shift: Largest translation as a fraction of the image side, in [0, 1]; drawn uniformly
            from ±, for each axis.
        weight_decay: L2 coefficient of SGD, at least 0.
        batch_size: Images a step, at least 1.
        learning_rate: The highest the schedule reaches, above 0.
        schedule: `constant`, or `linear`: down to 0 at the end of the last epoch.
        warmup_epochs: Epochs of linear warm-up from 0, at least 0; under either schedule.
        momentum: Of SGD, in [0, 1).
        nesterov: Whether the momentum is Nesterov's, which needs a momentum above 0.

    Raises:
        ValueError: A value is outside its range.
    """

    dropout: float
    rotation: float
    shift: float
    weight_decay: float
    batch_size: int
    learning_rate: float
    schedule: Schedule
    warmup_epochs: float
    momentum: float
    nesterov: bool

    def __post_init__(self) -> None:
        for name, is_valid, expected in (
            ("dropout", 0 <= self.dropout < 1, "at least 0 and below 1"),
            ("rotation", 0 <= self.rotation <= 180, "between 0 and 180 degrees"),
            ("shift", 0 <= self.shift <= 1, "between 0 and 1"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "at least 0"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
            ("schedule", self.schedule in get_args(Schedule), "constant or linear"),
            ("warmup_epochs", 0 <= self.warmup_epochs < math.inf, "at least 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("nesterov", not self.nesterov or self.momentum > 0, "false where momentum is 0"),
        ):
            if not is_valid:
                raise ValueError(f"`{name}` must be {expected}, but got {getattr(self, name)}")
