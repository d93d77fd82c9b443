import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.fast_lenet5 import convolve_pool_relu

SHAPES = [(1, 6, 28, 28, 2, 3), (6, 16, 14, 14, 0, 5), (2, 3, 10, 8, 0, 1), (2, 1, 6, 12, 1, 4)]


def _plain(x: Tensor, weight: Tensor, bias: Tensor, padding: int) -> Tensor:
    """The same by PyTorch's layers, whose images come first."""
    convolved = F.conv2d(x.permute(3, 0, 1, 2), weight, bias, padding=padding)
    return F.max_pool2d(convolved.relu(), 2).permute(1, 2, 3, 0)


def _gradients(function, inputs: list[Tensor], padding: int) -> list[Tensor]:
    out = function(*inputs, padding=padding)
    direction = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    return list(torch.autograd.grad((out * direction).sum(), inputs))


def _inputs(n_in: int, n_out: int, height: int, width: int, n: int) -> list[Tensor]:
    generator = Generator().manual_seed(1)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((n_in, height, width, n), (n_out, n_in, 5, 5), (n_out,))
    ]


@pytest.mark.parametrize(("n_in", "n_out", "height", "width", "padding", "n"), SHAPES)
def test_convolve_pool_relu_agrees_with_the_plain_layers(n_in, n_out, height, width, padding, n):
    inputs = _inputs(n_in, n_out, height, width, n)
    out = convolve_pool_relu(*inputs, padding=padding)
    torch.testing.assert_close(out, _plain(*inputs, padding), rtol=1e-10, atol=1e-10)
    ours = _gradients(convolve_pool_relu, inputs, padding)
    theirs = _gradients(_plain, inputs, padding)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_convolve_pool_relu_breaks_ties_as_max_pooling_does():
    # Integers have no rounding errors: all four positions in an inner window tie exactly.
    x = torch.full((1, 28, 28, 2), 2.0, requires_grad=True)
    weight = torch.arange(-10.0, 15.0).view(1, 1, 5, 5).requires_grad_()
    inputs = [x, weight, torch.ones(1, requires_grad=True)]
    ours = _gradients(convolve_pool_relu, inputs, padding=2)
    theirs = _gradients(_plain, inputs, padding=2)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_convolve_pool_relu_takes_images_in_any_layout():
    inputs = _inputs(6, 16, 14, 14, 3)
    strided = inputs[0].detach().permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)
    assert not strided.is_contiguous()
    outs = [convolve_pool_relu(x, *inputs[1:], padding=0) for x in (inputs[0], strided)]
    assert torch.equal(*outs)
