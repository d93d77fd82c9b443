import math

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

import models
from models import MODELS, LeNet5, build_model

NAMES = sorted(MODELS)


def _plain(model: nn.Module, channels: int = 1, side: int = 28, classes: int = 10):
    """The textbook arrangement of a network, on copies of the same weights."""
    if isinstance(model, LeNet5):
        layers = [
            *(nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 120, (side // 2 - 4) // 2), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)),
        ]
    else:
        layers = [
            *(nn.Flatten(), nn.Linear(channels * side * side, 80), nn.ReLU()),
            *(nn.Linear(80, 20), nn.ReLU(), nn.Linear(20, classes)),
        ]
    plain = nn.Sequential(*layers)
    plain.load_state_dict(dict(zip(plain.state_dict(), model.state_dict().values(), strict=True)))
    return plain.to(next(model.parameters()).device)


def _images(n: int, channels: int = 1, side: int = 28) -> Tensor:
    return torch.randn(n, channels, side, side, generator=Generator().manual_seed(n))


@pytest.mark.parametrize(
    ("n", "training", "shape"),
    [
        (1, True, (1, 28, 10)),
        (3, False, (1, 28, 10)),
        (37, False, (1, 28, 10)),
        (64, True, (1, 28, 10)),
        (5, True, (3, 29, 2)),  # odd at the first pooling
        (5, True, (1, 30, 3)),  # odd at the second
        (5, True, (3, 64, 1000)),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_network_agrees_with_the_plain_layers(name, n, training, shape):
    channels, side, classes = shape
    kwargs = dict(zip(("n_channels", "side", "n_classes"), shape, strict=True))
    model = build_model(name, generator=Generator().manual_seed(1), shape=kwargs).train(training)
    plain = _plain(model, *shape)
    images, labels = _images(n, channels, side).requires_grad_(), torch.arange(n) % classes
    copies = images.detach().clone().requires_grad_()
    ours, theirs = model(images), plain(copies)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    F.cross_entropy(ours, labels).backward()
    F.cross_entropy(theirs, labels).backward()
    torch.testing.assert_close(images.grad, copies.grad, rtol=1e-3, atol=1e-6)
    for parameter, expected in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_lenet5_agrees_with_the_plain_layers_on_cuda():
    model = build_model("lenet5", generator=Generator("cuda").manual_seed(1))
    images, labels = _images(64).cuda(), torch.arange(64, device="cuda") % 10
    ours, theirs = model(images), _plain(model)(images)
    # cuDNN may convolve in TF32, with 10 bits of mantissa.
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3)
    F.cross_entropy(ours, labels).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize(
    ("name", "sizes"), [("lenet5", [6 * 14 * 14, 16 * 5 * 5]), ("mlp", [80, 20])]
)
def test_network_drops_after_two_layers_and_not_in_evaluation(name, sizes):
    model = build_model(name, dropout=0.5, generator=Generator().manual_seed(1))
    n_activations = []
    hook = model.dropout.register_forward_hook(lambda _, __, x: n_activations.append(x.numel()))
    model(_images(12))
    assert n_activations == [12 * size for size in sizes]
    hook.remove()
    without = build_model(name, generator=Generator().manual_seed(1))
    assert torch.equal(model.eval()(_images(12)), without(_images(12)))


@pytest.mark.parametrize("name", NAMES)
def test_network_without_arguments_loads_the_weights_of_a_trained_one(name):
    trained = build_model(name, dropout=0.3, generator=Generator().manual_seed(0)).eval()
    loaded = type(trained)()
    loaded.load_state_dict(trained.state_dict())
    assert torch.equal(loaded(_images(2)), trained(_images(2)))  # in training: the dropout is 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_global", [False, True])
def test_build_model_repeats_a_seed(name, is_global):
    outputs = []
    for seed in (3, 3, 4):
        before = torch.get_rng_state()
        generator = torch.manual_seed(seed) if is_global else Generator().manual_seed(seed)
        model = build_model(name, dropout=0.5, generator=None if is_global else generator)
        outputs.append(torch.stack([model(_images(8)), model(_images(8))]))
        assert is_global or torch.equal(torch.get_rng_state(), before)
    assert outputs[0].shape == (2, 8, 10)
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert not torch.equal(outputs[0][0], outputs[0][1])


@pytest.mark.parametrize("name", NAMES)
def test_build_model_draws_weights_as_pytorch_does(name):
    model = build_model(name, generator=Generator().manual_seed(5))
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for parameter in (layer.weight, layer.bias):
                assert parameter.abs().max() <= bound
                # Mean of a uniform variable within 5 σ: false alarm once in 1.7 million seeds
                # per parameter. The seed is fixed: a test that passes once always passes.
                tolerance = 5 * bound / math.sqrt(3 * parameter.numel())
                assert abs(parameter.mean().item()) < tolerance
            # All 150 or more weights stay below 0.9 bound once in 7 million seeds.
            assert layer.weight.abs().max() > 0.9 * bound


@pytest.mark.parametrize("dropout", [-0.1, 1.0, math.nan])
def test_build_model_rejects_a_dropout_out_of_range(dropout):
    with pytest.raises(ValueError, match="`dropout` must be at least 0 and below 1, but got"):
        build_model("mlp", dropout=dropout)


def test_unknown_networks_are_named():
    with pytest.raises(ValueError, match="`model` must be one of lenet5, mlp, but got vgg"):
        build_model("vgg")
    with pytest.raises(AttributeError, match="module 'models' has no attribute 'VGG'"):
        models.VGG  # noqa: B018
