from typing import Any

import pytest

from sweep.cli.screen import formatting


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (None, "–"),
        (0.0, "0.00 %"),
        (0.1, "10.00 %"),
        (0.99254, "99.25 %"),
        (0.99256, "99.26 %"),
        (1, "100.00 %"),
    ],
)
def test_percent_has_two_digits(fraction: float | None, text: str) -> None:
    assert formatting.percent(fraction) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (0.4, "0:00"),
        (9.6, "0:10"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599.4, "59:59"),
        (3599.6, "1:00:00"),
        (3661, "1:01:01"),
        (100 * 3600, "100:00:00"),
    ],
)
def test_duration_is_as_on_a_clock(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "about a minute left"),
        (60, "about a minute left"),
        (60.1, "about 2 min left"),
        (120, "about 2 min left"),
        (3601, "about 61 min left"),
    ],
)
def test_time_left_is_no_finer_than_a_minute(seconds: float | None, text: str) -> None:
    assert formatting.time_left(seconds) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("dropout", 0.25, "0.25"),
        ("dropout", 0.0, "0"),
        ("dropout", 0.123456, "0.123"),
        ("rotation", 10.0, "10°"),
        ("rotation", 12.3456, "12.3°"),
        ("weight_decay", 0.001, "0.001"),
        ("weight_decay", 0.00056789, "5.68e-04"),
        ("weight_decay", 1e-6, "1.00e-06"),
        ("learning_rate", 100.0, "100"),
        ("batch_size", 1024, "1024"),
        ("schedule", "linear", "linear"),
        ("nesterov", True, "true"),
    ],
)
def test_hyperparameter_has_three_digits_and_its_unit(name: str, value: Any, text: str) -> None:
    assert formatting.hyperparameter(name, value) == text


def test_hyperparameters_are_one_line() -> None:
    values = {"dropout": 0.25, "rotation": 10.0, "nesterov": False}
    line = "dropout 0.25  rotation 10°  nesterov false"
    assert formatting.hyperparameters(values) == line
    assert formatting.hyperparameters({}) == ""


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials"), (12345, "12,345 trials")]
)
def test_count_has_its_noun_in_the_right_number(n: int, text: str) -> None:
    assert formatting.count(n, "trial") == text
