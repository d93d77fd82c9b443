import math

import pytest

from analysis.hyperparameters import (
    DEFAULTS,
    HAND_TUNED,
    HYPERPARAMETERS,
    complete,
    format_value,
)


def test_complete_fills_in_defaults_in_the_order_of_the_table():
    completed = complete(HAND_TUNED)
    assert completed == {**DEFAULTS, **HAND_TUNED}
    assert list(completed) == list(HYPERPARAMETERS)
    assert isinstance(complete({"rotation": 10})["rotation"], float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1, but got 1.0"),
        ({"dropout": math.nan}, "`dropout` must be at least 0 and below 1, but got .nan"),
        ({"rotation": 200}, "`rotation` must be between 0 and 180 degrees, but got 200"),
        ({"rotation": "10"}, "`rotation` must be a number between 0 and 180 degrees"),
        ({"batch_size": 0}, "`batch_size` must be between 1 and 50,000 images, but got 0"),
        ({"batch_size": 1.5}, "`batch_size` must be an integer between 1 and 50,000 images"),
        ({"learning_rate": 0}, "`learning_rate` must be above 0 and at most 100, but got 0"),
        ({"schedule": "step"}, "`schedule` must be constant, linear or cosine, but got 'step'"),
        ({"nesterov": 1}, "`nesterov` must be true or false, but got 1"),
        ({"lr": 0.1}, "there is no hyperparameter `lr`"),
        ({"nesterov": True, "momentum": 0.0}, "`nesterov` must be false where `momentum` is 0"),
    ],
)
def test_complete_rejects_what_a_training_cannot_have(values, message):
    with pytest.raises(ValueError, match="^" + message):
        complete(values)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("rotation", 10.0, "10°"),
        ("dropout", 0.25118, "0.251"),
        ("weight_decay", 2.5e-6, "2.5e-06"),
        ("weight_decay", 0.0, "0"),
        ("batch_size", 64, "64"),
        ("nesterov", True, "true"),
        ("schedule", "linear", "linear"),
        ("unknown", 3, "3"),
        ("ema_decay", 0.9995, "0.9995"),
        ("ema_decay", 1.0, "1"),
    ],
)
def test_format_value_writes_three_digits_and_the_unit(name, value, text):
    assert format_value(name, value) == text


def test_labels_name_the_unit():
    assert HYPERPARAMETERS["warmup_epochs"].label == "warm-up (epochs)"
    assert HYPERPARAMETERS["weight_decay"].label == "weight decay"
