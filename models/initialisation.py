"""Weights drawn from a given generator; PyTorch's own layers always use the global one."""

import math

import torch
from torch import Generator, nn


def initialize(model: nn.Module, generator: Generator | None) -> None:
    """Draw the weights and biases of every layer from PyTorch's default distribution.

    That is U(-b, b) with b = 1/sqrt(fan_in), for weight and bias alike: what
    `nn.Linear.reset_parameters` and `nn.Conv2d.reset_parameters` draw.

    Args:
        model: Its layers are moved to the generator's device.
        generator: Drawn from in the order of `model.modules()`, weight before bias. None:
            torch's global generator, on torch's default device.
    """
    model.to(generator.device if generator else torch.get_default_device())
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)
                if layer.bias is not None:
                    layer.bias.uniform_(-bound, bound, generator=generator)
