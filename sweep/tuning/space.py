"""The search space, in Optuna's words."""

from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.config.dimensions import Choices, Dimension


def distributions(space: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    """Returns what Optuna draws each hyperparameter from."""
    return {name: _distribution(dimension) for name, dimension in space.items()}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.choices)
    low, high = dimension.low, dimension.high
    if dimension.is_whole:
        return IntDistribution(
            int(low), int(high), log=dimension.log, step=int(dimension.step or 1)
        )
    return FloatDistribution(low, high, log=dimension.log, step=dimension.step)
