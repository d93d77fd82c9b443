import math

import pytest
import torch
from torch import Generator

from models.seeded import Dropout

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("p", [0.01, 0.25, 0.5, 0.9])
def test_dropout_drops_with_its_probability(p, device):
    n = 1_000_000
    generator = Generator(device).manual_seed(1)
    dropped = Dropout(p, generator)(torch.ones(n, device=device)) == 0
    # 5 σ of a binomial share, plus half a level of 1/65,536: false alarm in 1 of 1.7 million.
    tolerance = 5 * math.sqrt(p * (1 - p) / n) + 0.5 / 65_536
    assert abs(dropped.double().mean().item() - p) < tolerance
    # Neighbors share a 64-bit draw but must be independent. 5 σ again.
    for distance in (1, 2, 3, 4):
        both = (dropped[:-distance] & dropped[distance:]).double().mean().item()
        assert abs(both - p * p) < 5 * math.sqrt(p * p / n) + 2 * p / 65_536


@pytest.mark.parametrize(
    ("p", "n_levels"), [(0.25, 16384), (0.5, 32768), (0.1, 6554), (1e-6, 0), (0.999999, 65535)]
)
def test_dropout_scales_by_the_probability_it_uses(p, n_levels):
    out = Dropout(p, Generator().manual_seed(2))(torch.full((400_000,), 3.0))
    kept = out[out != 0]
    assert torch.equal(kept, torch.full_like(kept, 3 * 65_536 / (65_536 - n_levels)))
    assert (len(kept) == len(out)) == (n_levels == 0)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_of_zero_or_in_evaluation_is_the_identity_and_draws_nothing(training):
    generator = Generator().manual_seed(3)
    before = generator.get_state()
    x = torch.randn(5, 7)
    assert Dropout(0.0 if training else 0.5, generator).train(training)(x) is x
    assert torch.equal(generator.get_state(), before)


def test_dropout_drops_gradients_where_it_drops_activations():
    x = torch.ones(3, 4, 5, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = Dropout(0.5, Generator().manual_seed(4))(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
    assert set(out.unique().tolist()) == {0.0, 2.0}
