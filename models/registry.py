"""The networks by name. Importing this file does not import torch."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, nn

MODELS = {"lenet5": "models.lenet5:LeNet5", "mlp": "models.mlp:CustomMLP"}
"""Name in a config → "module:class"."""


def build_model(
    name: str, *, dropout: float = 0.0, generator: "Generator | None" = None
) -> "nn.Module":
    """Build a network with fresh weights.

    Args:
        name: A key of `MODELS`.
        dropout: Probability of dropping an activation, in [0, 1).
        generator: Draws the weights, and the dropout masks of every later forward pass. The
            network is created on its device. None: torch's global generator.

    Returns:
        A network from normalized images [n, 1, 28, 28] to logits [n, 10].

    Raises:
        ValueError: There is no such network, or `dropout` is out of range.
    """
    if name not in MODELS:
        raise ValueError(f"`model` must be one of {', '.join(sorted(MODELS))}, but got {name}")
    model: nn.Module = resolve_name(MODELS[name])(dropout=dropout, generator=generator)
    return model
