import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from models import LeNet5


def _plain(model: LeNet5) -> nn.Sequential:
    """The textbook arrangement, on copies of the same weights."""
    plain = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 120, 5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )
    with torch.no_grad():
        for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
            theirs.copy_(ours)
    return plain.to(next(model.parameters()).device)


def _images(n: int, device: str = "cpu") -> Tensor:
    return torch.randn(n, 1, 28, 28, generator=Generator().manual_seed(n)).to(device)


def _assert_gradients_agree(model: nn.Module, plain: nn.Module) -> None:
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6)


def test_lenet5_has_the_parameters_of_its_layers():
    model = LeNet5(dropout=0.0, generator=Generator())
    sizes = {
        name: sum(parameter.numel() for parameter in layer.parameters())
        for name, layer in model.named_children()
    }
    expected = {"c1": 156, "c3": 2416, "c5": 48120, "f6": 10164, "output": 850, "dropout": 0}
    assert sizes == expected
    assert sum(sizes.values()) == 61_706
    assert [tuple(p.shape) for p in model.parameters()][:5:2] == [
        (6, 1, 5, 5),
        (16, 6, 5, 5),
        (120, 16, 5, 5),
    ]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n", [1, 2, 3, 16, 37, 64])
def test_lenet5_agrees_with_the_plain_network(n: int, training: bool):
    model = LeNet5(dropout=0.0, generator=Generator().manual_seed(1)).train(training)
    plain = _plain(model)
    images, labels = _images(n), torch.arange(n) % 10
    ours, theirs = model(images), plain(images)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    F.cross_entropy(ours, labels).backward()
    F.cross_entropy(theirs, labels).backward()
    _assert_gradients_agree(model, plain)


def test_lenet5_passes_gradients_to_its_images():
    model = LeNet5(dropout=0.0, generator=Generator().manual_seed(1))
    ours, theirs = _images(8).requires_grad_(), _images(8).requires_grad_()
    model(ours).square().sum().backward()
    _plain(model)(theirs).square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6)


def test_lenet5_ignores_dropout_in_evaluation():
    images = _images(8)
    outputs = [
        LeNet5(dropout=dropout, generator=Generator().manual_seed(1)).eval()(images)
        for dropout in (0.0, 0.5)
    ]
    torch.testing.assert_close(*outputs, rtol=0, atol=0)


def test_lenet5_drops_after_both_blocks():
    model = LeNet5(dropout=0.5, generator=Generator().manual_seed(1))
    n_activations = []
    model.dropout.register_forward_hook(lambda _, __, out: n_activations.append(out.numel()))
    model(_images(12))
    assert n_activations == [12 * 6 * 14 * 14, 12 * 16 * 5 * 5]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_lenet5_agrees_with_the_plain_network_on_cuda():
    model = LeNet5(dropout=0.0, generator=Generator("cuda").manual_seed(1))
    plain = _plain(model)
    images, labels = _images(64, "cuda"), torch.arange(64, device="cuda") % 10
    ours, theirs = model(images), plain(images)
    # cuDNN may convolve in TF32, with 10 bits of mantissa.
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3)
    F.cross_entropy(ours, labels).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
