"""LeNet-5 with a fast path for a single CPU core.

A 5×5 convolution, 2×2 max pooling and ReLU are one matrix product. LeNet's few channels make poor
use of the usual kernels, most of all in pooling. A pooled pixel depends on a 6×6 window of the
input, in which a 5×5 kernel has four positions. So each window is multiplied by four copies of the
kernel, one per position, padded with zeros to 6×6, and pooling takes the largest of the four
products. The zeros cost 44 % more multiplications. In return there is one matrix product, and four
times fewer windows to gather than pixels to convolve. The results equal those of the plain layers,
except for rounding.

In all arrays the images are the innermost dimension, so that gathering, comparing and adding run
through contiguous memory.

Forward and backward of a batch of 64, on a core with AVX2: C1's block takes a third of the plain
layers' time, C3's four fifths. The alternative of channels_last with the batch folded into four
channel groups takes 1.4 and 1.1 times as long as this. Without the four positions (more windows,
and a product with 6 or 16 rows) nothing is gained.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.autograd.function import once_differentiable

from models.lenet5 import LeNet5

_KERNEL, _WINDOW = 5, 6

# [25, 4 * 36], zeros and ones: puts a kernel's pixels at its four positions in a window.
_POSITIONS = torch.stack(
    [
        F.pad(torch.eye(_KERNEL**2).view(-1, _KERNEL, _KERNEL), (right, 1 - right, down, 1 - down))
        for down in (0, 1)
        for right in (0, 1)
    ],
    dim=1,
).view(_KERNEL**2, 4 * _WINDOW**2)


class FastLeNet5(LeNet5):
    """The same network with the same parameters; its numbers differ by rounding."""

    def features(self, x: Tensor) -> Tensor:
        """Do the same as in `LeNet5`, faster on a CPU."""
        if not x.is_cpu:
            return super().features(x)
        x = x.permute(1, 2, 3, 0)
        for layer, padding in ((self.c1, 2), (self.c3, 0)):
            assert layer.bias is not None
            x = self.dropout(convolve_pool_relu(x, layer.weight, layer.bias, padding=padding))
        return x.flatten(0, 2).T


def convolve_pool_relu(x: Tensor, weight: Tensor, bias: Tensor, *, padding: int) -> Tensor:
    """Convolve with 5×5 kernels, take the maximum of each 2×2 pixels, apply ReLU.

    Args:
        x: [c_in, h, w, n], on a CPU. The images come last. Pooling ignores the last row and
            column if h or w is odd.
        weight: [c_out, c_in, 5, 5].
        bias: [c_out].
        padding: Number of zeros to add on each side.

    Returns:
        [c_out, h // 2 + padding - 2, w // 2 + padding - 2, n].
    """
    if padding:
        x = F.pad(x, (0, 0, padding, padding, padding, padding))
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    pooled: Tensor = _PooledConvolution.apply(x[:, :height, :width].contiguous(), weight, bias)
    return pooled


class _PooledConvolution(torch.autograd.Function):
    """Has its own backward, because autograd's for the windows adds pixel by pixel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        n_out, n_in = weight.shape[:2]
        _, height, width, n_images = x.shape
        windows = _windows(x)
        positions = weight.view(n_out * n_in, -1) @ _POSITIONS.to(weight.dtype)
        kernels = positions.view(n_out, n_in, 4, -1).permute(2, 0, 1, 3).reshape(4 * n_out, -1)
        # Pooling sees the four positions as 2×2 pixels, and everything else as channels, which are
        # last in memory, so that it works on long vectors.
        candidates = (kernels @ windows).view(1, 2, 2, -1).permute(0, 3, 1, 2)
        pooled, winners = F.max_pool2d(candidates, 2, return_indices=True)
        pooled = pooled.view(n_out, -1).add_(bias[:, None]).relu_()
        ctx.save_for_backward(windows, kernels, candidates, winners, pooled)
        ctx.x_shape, ctx.weight_shape = x.shape, weight.shape
        return pooled.view(n_out, height // 2 - 2, width // 2 - 2, n_images)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        windows, kernels, candidates, winners, pooled = ctx.saved_tensors
        n_out, n_in = ctx.weight_shape[:2]
        grad = torch.ops.aten.threshold_backward(grad.reshape(n_out, -1), pooled, 0)
        bias_grad = grad.sum(1)
        # max_unpool2d does the same at half the speed.
        grad = torch.ops.aten.max_pool2d_with_indices_backward(
            *(grad.view(1, 1, 1, -1).permute(0, 3, 1, 2), candidates),
            *([2, 2], [2, 2], [0, 0], [1, 1], False, winners),
        )
        grad = grad.permute(0, 2, 3, 1).view(4 * n_out, -1)
        # One eighth faster than grad @ windows.T.
        kernels_grad = (windows @ grad.T).view(n_in, -1, 4, n_out)
        positions_grad = kernels_grad.permute(3, 0, 2, 1).reshape(n_out * n_in, -1)
        weight_grad = (positions_grad @ _POSITIONS.to(grad.dtype).T).view(ctx.weight_shape)
        x_grad = _add_windows(kernels.T @ grad, ctx.x_shape) if ctx.needs_input_grad[0] else None
        return x_grad, weight_grad, bias_grad


def _windows(x: Tensor) -> Tensor:
    """Gather the 6×6 windows, two pixels apart: [c * 36, windows per channel * n]."""
    windows = x.unfold(1, _WINDOW, 2).unfold(2, _WINDOW, 2)  # [c, down, right, n, 6, 6]
    return windows.permute(0, 4, 5, 1, 2, 3).reshape(len(x) * _WINDOW**2, -1)


def _add_windows(windows: Tensor, shape: Size) -> Tensor:
    """Add up overlapping windows: the transpose of `_windows`."""
    n_channels, height, width, n_images = shape
    n_down, n_right = height // 2 - 2, width // 2 - 2
    windows = windows.view(n_channels, 3, 2, 3, 2, n_down, n_right, n_images)
    # Window i begins at row 2 i: its rows 2 k and 2 k + 1 are the pair of rows i + k of `x`.
    # Rows first, then columns, takes 6 large additions; both at once takes 9, a third slower.
    rows = windows.new_zeros(n_channels, 3, 2, height // 2, 2, n_right, n_images)
    for k in range(3):
        rows[:, :, :, k : k + n_down] += windows[:, k].permute(0, 2, 3, 4, 1, 5, 6)
    rows = rows.view(n_channels, 3, 2, height, n_right, n_images)
    x = windows.new_zeros(n_channels, height, width // 2, 2, n_images)
    for k in range(3):
        x[:, :, k : k + n_right] += rows[:, k].permute(0, 2, 3, 1, 4)
    return x.view(shape)
