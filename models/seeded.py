"""Weights and dropout masks from a given generator; PyTorch's layers use the global one."""

import math

import torch
from torch import Generator, Tensor, nn

_LEVELS = 1 << 16


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html).

    An activation is dropped when its random 16-bit word is below k = round(65,536 p), so the
    probability is exactly k / 65,536: within 1 / 131,072 of `p`, and `p` itself if 65,536 p is
    an integer. The other activations are scaled by 65,536 / (65,536 - k), so that the expected
    value stays the same. With `p` = 0, and in evaluation mode, the input itself is returned and
    nothing is drawn.

    Args:
        p: Probability of dropping an activation, in [0, 1); ValueError for any other.
        generator: Draws the masks, on the activations' device. None: torch's global generator.
    """

    def __init__(self, p: float, generator: Generator | None = None) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"`dropout` must be at least 0 and below 1, but got {p}")
        self.generator = generator
        self._n_dropped_levels = min(round(_LEVELS * p), _LEVELS - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Drop activations of `x`, which is dense in memory, in any layout."""
        if not self.training or self._n_dropped_levels == 0:
            return x
        return x * self._mask(x)

    def _mask(self, x: Tensor) -> Tensor:
        """Draw a factor for each activation of `x`, in its shape and layout: 0 or the scale."""
        # One 64-bit draw gives four words. Forward and backward take a third of F.dropout's time.
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        words.random_(-(1 << 63), None, generator=self.generator)
        # Comparing straight into floats is faster than converting booleans.
        mask = torch.empty(x.numel(), dtype=x.dtype, device=x.device)
        lowest_kept = self._n_dropped_levels - _LEVELS // 2
        torch.ge(words.view(torch.int16)[: x.numel()], lowest_kept, out=mask)
        mask *= _LEVELS / (_LEVELS - self._n_dropped_levels)
        return mask.as_strided(x.shape, x.stride())


def draw_from(model: nn.Module, generator: Generator | None) -> None:
    """Draw the weights of a network from `generator`, which also draws its dropout masks then.

    Weights and biases have PyTorch's default distribution, U(-b, b) with b = 1/sqrt(fan_in): what
    `nn.Linear.reset_parameters` and `nn.Conv2d.reset_parameters` draw.

    Args:
        model: Its layers are moved to the generator's device, each `nn.Dropout` is replaced.
        generator: Drawn from in the order of `model.modules()`, weight before bias. None:
            torch's global generator, on torch's default device.
    """
    for path, layer in list(model.named_modules(remove_duplicate=False)):
        if isinstance(layer, nn.Dropout):
            model.set_submodule(path, Dropout(layer.p, generator))
    model.to(generator.device if generator else torch.get_default_device())
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)
                if layer.bias is not None:
                    layer.bias.uniform_(-bound, bound, generator=generator)
