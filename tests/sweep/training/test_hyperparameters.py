import math
from dataclasses import replace

import pytest

from sweep.training.hyperparameters import Hyperparameters

HAND_TUNED = Hyperparameters(
    dropout=0.25,
    rotation=10.0,
    shift=0.05,
    weight_decay=0.001,
    batch_size=64,
    learning_rate=0.01,
    schedule="constant",
    warmup_epochs=0,
    momentum=0.9,
    nesterov=False,
)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("dropout", 1.0, "at least 0 and below 1"),
        ("dropout", math.nan, "at least 0 and below 1"),
        ("rotation", 200, "between 0 and 180 degrees"),
        ("shift", -0.1, "between 0 and 1"),
        ("weight_decay", -1e-9, "at least 0"),
        ("batch_size", 0, "at least 1"),
        ("learning_rate", 0, "above 0"),
        ("learning_rate", math.inf, "above 0"),
        ("schedule", "cosine", "constant or linear"),
        ("warmup_epochs", -1, "at least 0"),
        ("momentum", 1.0, "at least 0 and below 1"),
    ],
)
def test_hyperparameters_reject_a_value_out_of_range(name: str, value: object, expected: str):
    with pytest.raises(ValueError, match=f"^`{name}` must be {expected}, but got {value}$"):
        replace(HAND_TUNED, **{name: value})


def test_hyperparameters_reject_nesterov_without_momentum():
    with pytest.raises(ValueError, match="`nesterov` must be false where momentum is 0"):
        replace(HAND_TUNED, momentum=0.0, nesterov=True)
