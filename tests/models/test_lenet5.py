import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models import LeNet5


def _plain(model: LeNet5) -> nn.Sequential:
    """The textbook arrangement, on copies of the same weights."""
    plain = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, 10),
    )
    with torch.no_grad():
        for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
            theirs.copy_(ours)
    return plain.to(next(model.parameters()).device)


def _images(n: int, device: str = "cpu") -> Tensor:
    return torch.randn(n, 1, 28, 28, generator=Generator().manual_seed(n)).to(device)


def test_lenet5_has_61706_parameters():
    assert sum(parameter.numel() for parameter in LeNet5().parameters()) == 61_706


@pytest.mark.parametrize(("n", "training"), [(1, True), (3, False), (37, False), (64, True)])
def test_lenet5_agrees_with_the_plain_network(n: int, training: bool):
    model = LeNet5(generator=Generator().manual_seed(1)).train(training)
    plain = _plain(model)
    images, labels = _images(n).requires_grad_(), torch.arange(n) % 10
    copies = images.detach().clone().requires_grad_()
    ours, theirs = model(images), plain(copies)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    F.cross_entropy(ours, labels).backward()
    F.cross_entropy(theirs, labels).backward()
    torch.testing.assert_close(images.grad, copies.grad, rtol=1e-3, atol=1e-6)
    for parameter, expected in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad, rtol=1e-3, atol=1e-6)


def test_lenet5_drops_after_both_blocks_and_not_in_evaluation():
    model = LeNet5(dropout=0.5, generator=Generator().manual_seed(1))
    n_activations = []
    hook = model.dropout.register_forward_hook(lambda _, __, x: n_activations.append(x.numel()))
    images = _images(12)
    model(images)
    assert n_activations == [12 * 6 * 14 * 14, 12 * 16 * 5 * 5]
    hook.remove()
    without = LeNet5(generator=Generator().manual_seed(1))
    assert torch.equal(model.eval()(images), without(images))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_lenet5_agrees_with_the_plain_network_on_cuda():
    model = LeNet5(generator=Generator("cuda").manual_seed(1))
    plain = _plain(model)
    images, labels = _images(64, "cuda"), torch.arange(64, device="cuda") % 10
    ours, theirs = model(images), plain(images)
    # cuDNN may convolve in TF32, with 10 bits of mantissa.
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3)
    F.cross_entropy(ours, labels).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
