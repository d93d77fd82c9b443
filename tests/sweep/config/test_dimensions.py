import math

import pytest

from sweep.config.dimensions import Choices, Range, RefusedError, parse_dimension, parse_space
from sweep.config.domains import HYPERPARAMETERS


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("dropout", {"low": 0, "high": 0.5}, Range(0.0, 0.5)),
        ("rotation", {"low": 0, "high": 180}, Range(0.0, 180.0)),
        ("rotation", {"low": 0, "high": 30, "step": 5}, Range(0.0, 30.0, step=5.0)),
        ("shift", {"low": 0.1, "high": 0.7, "step": 0.1}, Range(0.1, 0.7, step=0.1)),
        ("weight_decay", {"low": 1e-6, "high": 1e-2, "log": True}, Range(1e-6, 1e-2, log=True)),
        ("weight_decay", {"low": 0, "high": 1, "log": False}, Range(0.0, 1.0)),
        ("batch_size", {"low": 16, "high": 256, "log": True}, Range(16, 256, log=True)),
        ("batch_size", {"low": 16, "high": 64, "step": 16}, Range(16, 64, step=16)),
        ("batch_size", [32, 64], Choices((32, 64))),
        ("batch_size", {"choices": [64, 32]}, Choices((64, 32))),
        ("momentum", [0, 0.9], Choices((0.0, 0.9))),
        ("schedule", ["linear", "constant"], Choices(("linear", "constant"))),
        ("nesterov", [False, True], Choices((False, True))),
    ],
)
def test_parse_dimension_reads_ranges_and_choices(name, raw, expected):
    parsed = parse_dimension(HYPERPARAMETERS[name], raw)
    assert parsed == expected
    assert parse_dimension(HYPERPARAMETERS[name], parsed.to_plain()) == expected
    assert parse_dimension(HYPERPARAMETERS[name], parsed) == expected


@pytest.mark.parametrize(
    ("name", "raw", "where", "message"),
    [
        ("dropout", 0.5, (), "must be a range `{low: …, high: …}` or a list of choices"),
        ("schedule", "linear", (), "must be a list of choices, but got 'linear'"),
        ("dropout", {}, (), "needs `low` and `high`"),
        ("dropout", {"low": 0.1}, (), "needs `high`"),
        ("dropout", {"low": 0.1, "high": 0.1}, ("high",), "must be above `low`, 0.1, but got 0.1"),
        ("dropout", {"low": 0.2, "high": 1}, ("high",), "must be at least 0 and below 1"),
        ("dropout", {"low": None, "high": 0.5}, ("low",), "but got nothing"),
        ("dropout", {"low": math.nan, "high": 0.5}, ("low",), "but got .nan"),
        ("dropout", {"low": "0", "high": 0.5}, ("low",), "must be a number"),
        ("dropout", {"low": True, "high": 0.5}, ("low",), "but got true"),
        ("dropout", {"low": 0, "high": 0.5, "log": 1}, ("log",), "must be `false` or `true`"),
        ("dropout", {"low": 0, "high": 0.5, "lo": 1}, ("lo",), "did you mean `low`?"),
        ("weight_decay", {"low": 0, "high": 1, "log": True}, ("low",), "above 0 where `log`"),
        ("weight_decay", {"low": -1, "high": 1}, ("low",), "must be between 0 and 100"),
        ("learning_rate", {"low": 0, "high": 1}, ("low",), "must be above 0 and at most 100"),
        ("rotation", {"low": 0, "high": 30, "step": 0}, ("step",), "must be above 0 and finite"),
        ("rotation", {"low": 0, "high": 30, "step": math.inf}, ("step",), "but got .inf"),
        ("rotation", {"low": 0, "high": 30, "step": 31}, ("step",), "must fit between"),
        ("rotation", {"low": 0, "high": 30, "step": 1e-300}, ("step",), "1,000,000 times"),
        ("rotation", {"low": 0, "high": 30, "step": 7}, ("high",), "0.0 plus a multiple of 7.0"),
        ("rotation", {"low": 1, "high": 4, "step": 1, "log": True}, ("step",), "`log: true`"),
        ("batch_size", {"low": 1.5, "high": 4}, ("low",), "must be a whole number between 1"),
        ("batch_size", {"low": 0, "high": 4}, ("low",), "must be between 1 and 50,000 images"),
        ("batch_size", {"low": 1, "high": 4, "step": 0.5}, ("step",), "must be a whole number"),
        ("batch_size", [], (), "must have two choices or more, but got 0"),
        ("batch_size", [64], (), "must have two choices or more, but got 1"),
        ("batch_size", [64, 32, 64], (2,), "repeats the choice 64"),
        ("batch_size", list(range(1, 102)), (), "must have at most 100 choices, but got 101"),
        ("momentum", [0, 0.0], (1,), "repeats the choice 0.0"),
        ("momentum", {"choices": [0.9, 1]}, ("choices", 1), "must be at least 0 and below 1"),
        ("momentum", {"choices": 0.9}, ("choices",), "must be a list, but got 0.9"),
        ("momentum", {"choices": [0, 0.9], "low": 0}, (), "cannot go with `low`"),
        ("nesterov", {"low": False, "high": True}, (), "has no order"),
        ("nesterov", [0, 1], (0,), "must be `false` or `true`, but got 0"),
        ("schedule", ["linear", "cosine"], (1,), "must be `constant` or `linear`"),
    ],
)
def test_parse_dimension_refuses_and_says_where(name, raw, where, message):
    with pytest.raises(RefusedError) as caught:
        parse_dimension(HYPERPARAMETERS[name], raw)
    [(found, text)] = [item for item in caught.value.problems if item[0] == where]
    assert found == where
    assert message in text


def test_parse_dimension_lists_every_problem():
    with pytest.raises(RefusedError) as caught:
        parse_dimension(HYPERPARAMETERS["dropout"], {"low": -1, "high": 2, "stride": 1})
    assert [where for where, _ in caught.value.problems] == [("stride",), ("low",), ("high",)]


@pytest.mark.parametrize(
    ("raw", "where", "message"),
    [
        ([], (), "must be a mapping from names to ranges or choices, but got a list"),
        ({}, (), "must name at least one hyperparameter to search"),
        ({"droput": [0, 0.1]}, ("droput",), "is unknown; did you mean `dropout`?"),
        ({"dropout": 0.1}, ("dropout",), "but got 0.1; a fixed value belongs in `recipe`"),
        ({"dropout": [0, 2]}, ("dropout", 1), "must be at least 0 and below 1, but got 2"),
    ],
)
def test_parse_space_refuses_and_says_where(raw, where, message):
    with pytest.raises(RefusedError) as caught:
        parse_space(raw)
    [(found, text)] = caught.value.problems
    assert found == where
    assert message in text


@pytest.mark.parametrize(
    ("dimension", "value", "is_inside"),
    [
        (Range(0.0, 0.5), 0.0, True),
        (Range(0.0, 0.5), 0.5, True),
        (Range(0.0, 0.5), 0.51, False),
        (Range(0.1, 0.5), 0.0, False),
        (Range(0.1, 0.7, step=0.1), 0.3, True),
        (Range(0.1, 0.7, step=0.1), 0.35, False),
        (Range(16, 64, step=16), 48, True),
        (Range(16, 64, step=16), 40, False),
        (Choices((32, 64)), 64, True),
        (Choices((32, 64)), 48, False),
    ],
)
def test_refusal_is_none_inside_the_dimension_alone(dimension, value, is_inside):
    assert (dimension.refusal(value) is None) == is_inside


def test_range_is_whole_only_for_whole_hyperparameters():
    assert parse_dimension(HYPERPARAMETERS["batch_size"], {"low": 1, "high": 2}).is_whole
    assert not parse_dimension(HYPERPARAMETERS["rotation"], {"low": 1, "high": 2}).is_whole
