"""A 5×5 convolution, 2×2 max pooling and ReLU as one matrix product, for a CPU core.

LeNet's few channels leave the usual kernels half idle, in the convolution and more so in the
pooling. But a pooled pixel depends on a 6×6 window of the input, on which the kernel has four
places. So each window is multiplied with four copies of the kernel, padded with zeros to 6×6 by
their places, and pooling takes the largest of four rows. The zeros cost 44 % more products; a
matrix product makes up for them, and there are four times fewer windows to gather than pixels
to convolve. The numbers are those of the plain layers, but for rounding.

Arrays have the images as their innermost dimension, so that gathering, comparing and adding
run through contiguous memory.

Forward and backward of a batch of 64, on a core with AVX2: C1's block takes a third of the plain
layers' time, C3's four fifths. With channels_last and the batch folded into four channel groups
the two take 1.4 and 1.1 times as long as here. Without the four places (more windows, and a
product with 6 or 16 rows) nothing is gained.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.autograd.function import once_differentiable

_KERNEL, _WINDOW = 5, 6

# [25, 4 * 36], zeros and ones: puts the pixels of a kernel in its four places on a window.
_PLACES = torch.stack(
    [
        F.pad(torch.eye(_KERNEL**2).view(-1, _KERNEL, _KERNEL), (right, 1 - right, down, 1 - down))
        for down in (0, 1)
        for right in (0, 1)
    ],
    dim=1,
).view(_KERNEL**2, 4 * _WINDOW**2)


def convolve_pool_relu(x: Tensor, weight: Tensor, bias: Tensor, *, padding: int) -> Tensor:
    """Convolve with 5×5 kernels, take the maximum of each 2×2 pixels, apply ReLU.

    Args:
        x: [c_in, h, w, n], on a CPU; h and w are even. The images come last.
        weight: [c_out, c_in, 5, 5].
        bias: [c_out].
        padding: Zeros to add on each side.

    Returns:
        [c_out, h / 2 + padding - 2, w / 2 + padding - 2, n].
    """
    if padding:
        x = F.pad(x, (0, 0, padding, padding, padding, padding))
    pooled: Tensor = _PooledConvolution.apply(x.contiguous(), weight, bias)
    return pooled


class _PooledConvolution(torch.autograd.Function):
    """Written out, because autograd's own backward of the windows adds pixel by pixel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        n_out, n_in = weight.shape[:2]
        _, height, width, n_images = x.shape
        windows = _windows(x)
        places = weight.view(n_out * n_in, -1) @ _PLACES.to(weight.dtype)
        kernels = places.view(n_out, n_in, 4, -1).permute(2, 0, 1, 3).reshape(4 * n_out, -1)
        # Pooling sees the four places as 2×2 pixels, and all the rest as channels, which come
        # last in memory: so it works on whole vectors.
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
        # max_unpool2d would do the same, at half the speed.
        grad = torch.ops.aten.max_pool2d_with_indices_backward(
            *(grad.view(1, 1, 1, -1).permute(0, 3, 1, 2), candidates),
            *([2, 2], [2, 2], [0, 0], [1, 1], False, winners),
        )
        grad = grad.permute(0, 2, 3, 1).view(4 * n_out, -1)
        # This way round, and not grad @ windows.T: an eighth less time.
        kernels_grad = (windows @ grad.T).view(n_in, -1, 4, n_out)
        places_grad = kernels_grad.permute(3, 0, 2, 1).reshape(n_out * n_in, -1)
        weight_grad = (places_grad @ _PLACES.to(grad.dtype).T).view(ctx.weight_shape)
        x_grad = _add_windows(kernels.T @ grad, ctx.x_shape) if ctx.needs_input_grad[0] else None
        return x_grad, weight_grad, bias_grad


def _windows(x: Tensor) -> Tensor:
    """Gather the 6×6 windows, two pixels apart: [c * 36, windows a channel * n]."""
    windows = x.unfold(1, _WINDOW, 2).unfold(2, _WINDOW, 2)  # [c, down, right, n, 6, 6]
    return windows.permute(0, 4, 5, 1, 2, 3).reshape(len(x) * _WINDOW**2, -1)


def _add_windows(windows: Tensor, shape: Size) -> Tensor:
    """Add windows up where they overlap: the transpose of `_windows`."""
    n_channels, height, width, n_images = shape
    n_down, n_right = height // 2 - 2, width // 2 - 2
    windows = windows.view(n_channels, 3, 2, 3, 2, n_down, n_right, n_images)
    # Window i begins at row 2 i: its rows 2 k and 2 k + 1 are the pair of rows i + k of `x`.
    # First rows, then columns: 6 large additions, where all at once takes 9 and a third longer.
    rows = windows.new_zeros(n_channels, 3, 2, height // 2, 2, n_right, n_images)
    for k in range(3):
        rows[:, :, :, k : k + n_down] += windows[:, k].permute(0, 2, 3, 4, 1, 5, 6)
    rows = rows.view(n_channels, 3, 2, height, n_right, n_images)
    x = windows.new_zeros(n_channels, height, width // 2, 2, n_images)
    for k in range(3):
        x[:, :, k : k + n_right] += rows[:, k].permute(0, 2, 3, 1, 4)
    return x.view(shape)
