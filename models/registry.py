"""Building a network by its name."""

from torch import Generator, nn

from models.lenet5 import LeNet5
from models.mlp import CustomMLP

MODELS: dict[str, type[LeNet5] | type[CustomMLP]] = {"lenet5": LeNet5, "mlp": CustomMLP}


def build_model(name: str, *, dropout: float, generator: Generator) -> nn.Module:
    """Build a network with fresh weights.

    Args:
        name: A key of `MODELS`.
        dropout: Probability of dropping an activation, in [0, 1).
        generator: Initialises the weights, and draws the dropout masks of every later forward
            pass. The network is created on its device.

    Returns:
        A network from normalised images [n, 1, 28, 28] to logits [n, 10].

    Raises:
        ValueError: No such network, or `dropout` out of range.
    """
    if name not in MODELS:
        known = ", ".join(sorted(MODELS))
        raise ValueError(f"`model` must be one of {known}, but got {name}")
    return MODELS[name](dropout=dropout, generator=generator)
