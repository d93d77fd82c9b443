from typing import Any

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.config.dimensions import parse_space
from sweep.tuning.space import distributions


@pytest.mark.parametrize(
    ("name", "dimension", "expected"),
    [
        ("dropout", {"low": 0.0, "high": 0.5}, FloatDistribution(0.0, 0.5)),
        (
            "weight_decay",
            {"low": 1e-6, "high": 1e-2, "log": True},
            FloatDistribution(1e-6, 1e-2, log=True),
        ),
        ("shift", {"low": 0.0, "high": 0.3, "step": 0.1}, FloatDistribution(0.0, 0.3, step=0.1)),
        ("batch_size", {"low": 16, "high": 64}, IntDistribution(16, 64)),
        ("batch_size", {"low": 16, "high": 64, "step": 16}, IntDistribution(16, 64, step=16)),
        ("batch_size", {"low": 16, "high": 512, "log": True}, IntDistribution(16, 512, log=True)),
        ("schedule", ["constant", "linear"], CategoricalDistribution(("constant", "linear"))),
        ("nesterov", [False, True], CategoricalDistribution((False, True))),
        ("momentum", {"choices": [0.5, 0.9]}, CategoricalDistribution((0.5, 0.9))),
    ],
)
def test_distribution_says_what_the_dimension_says(
    name: str, dimension: Any, expected: BaseDistribution
) -> None:
    assert distributions(parse_space({name: dimension})) == {name: expected}


def test_distributions_keep_the_order_of_the_space() -> None:
    space = parse_space({"shift": {"low": 0, "high": 1}, "dropout": {"low": 0, "high": 0.5}})
    assert list(distributions(space)) == list(space) == ["dropout", "shift"]
