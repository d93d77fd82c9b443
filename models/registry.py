"""The networks by name. Importing this file does not import torch."""

from collections.abc import Mapping
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from models import own

if TYPE_CHECKING:
    from torch import Generator, nn

MODELS = {"lenet5": "models.lenet5:LeNet5", "mlp": "models.mlp:CustomMLP"}
"""Name in a config → "module:class". The module imports torch alone: an export copies it."""

_FAST = {"lenet5": "models.fast_lenet5:FastLeNet5"}
"""Subclasses to train with, which have the same parameters."""


def build_model(
    name: str,
    *,
    dropout: float = 0.0,
    generator: "Generator | None" = None,
    shape: Mapping[str, int] = MappingProxyType({}),
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> "nn.Module":
    """Build a network with fresh weights.

    Args:
        name: A key of `MODELS`, or a registered network of the user's own, see `models.own`.
        dropout: Probability of dropping an activation, in [0, 1).
        shape: Of the data, by default MNIST's: `n_channels`, `side` and `n_classes`.
        generator: Draws the weights, and the dropout masks of every later forward pass. The
            network is created on its device. None: torch's global generator. A network of the
            user's own draws masks from torch's global generator in any case.
        arguments: Others of a network of the user's own.

    Returns:
        A network from normalized images [n, n_channels, side, side] to logits [n, n_classes].

    Raises:
        ValueError: There is no such network, or `dropout` is out of range.
        NetworkError: A network of the user's own cannot be built.
    """
    if own.is_own(name):
        return own.build(name, {"dropout": dropout, **shape, **arguments}, generator)
    if name not in MODELS:
        raise ValueError(f"`model` must be one of {', '.join(sorted(MODELS))}, but got {name}")
    import torch

    from models.seeded import Dropout, draw_from

    Dropout(dropout)  # raises the ValueError
    network = resolve_name(_FAST.get(name, MODELS[name]))  # not within the block below
    with torch.random.fork_rng(devices=[]):  # the layers draw weights too, which are replaced
        model: nn.Module = network(dropout=dropout, **own.accepted(network, shape))
    draw_from(model, generator)
    return model
