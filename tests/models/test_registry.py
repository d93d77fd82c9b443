import math

import pytest
import torch
from torch import Generator, nn

from models import MODELS, CustomMLP, LeNet5, build_model

NAMES = sorted(MODELS)


def test_models_are_known_by_name():
    assert sorted(MODELS.items()) == [("lenet5", LeNet5), ("mlp", CustomMLP)]


@pytest.mark.parametrize("name", NAMES)
def test_build_model_maps_images_to_logits(name: str):
    model = build_model(name, dropout=0.1, generator=Generator().manual_seed(0))
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("name", NAMES)
def test_build_model_repeats_a_seed_and_leaves_global_randomness_alone(name: str):
    before = torch.get_rng_state()
    images = torch.ones(8, 1, 28, 28)
    outputs = []
    for seed in (3, 3, 4):
        model = build_model(name, dropout=0.5, generator=Generator().manual_seed(seed))
        outputs.append(torch.stack([model(images), model(images)]))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert not torch.equal(outputs[0][0], outputs[0][1])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_build_model_draws_weights_as_pytorch_does(name: str):
    model = build_model(name, dropout=0.0, generator=Generator().manual_seed(5))
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for parameter in (layer.weight, layer.bias):
                assert parameter.abs().max() <= bound
                # Of a uniform variable: 5 standard errors of the mean; a false alarm in 1.7
                # million a parameter. The seed is fixed: what passes once passes always.
                tolerance = 5 * bound / math.sqrt(3 * parameter.numel())
                assert abs(parameter.mean().item()) < tolerance
            # All 150 or more weights stay below 0.9 b once in 7 million times.
            assert layer.weight.abs().max() > 0.9 * bound


def test_build_model_names_the_known_models():
    with pytest.raises(ValueError, match="`model` must be one of lenet5, mlp, but got vgg"):
        build_model("vgg", dropout=0.0, generator=Generator())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dropout", [-0.1, 1.0, math.nan])
def test_build_model_rejects_a_dropout_out_of_range(name: str, dropout: float):
    with pytest.raises(ValueError, match="`dropout` must be at least 0 and below 1, but got"):
        build_model(name, dropout=dropout, generator=Generator())
