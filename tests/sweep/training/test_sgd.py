import pytest
import torch
from torch import Generator, Tensor

from models import build_model
from sweep.training.sgd import SGD


def _parameters() -> list[Tensor]:
    model = build_model("lenet5", dropout=0.0, generator=Generator().manual_seed(0))
    return list(model.parameters())


def _gradients(step: int) -> list[Tensor]:
    generator = Generator().manual_seed(step)
    return [torch.randn(one.shape, generator=generator) for one in _parameters()]


@pytest.mark.parametrize(
    ("momentum", "nesterov", "weight_decay"),
    [(0.0, False, 0.0), (0.9, False, 1e-3), (0.9, True, 1e-3)],
)
def test_step_is_that_of_torch_bit_for_bit(momentum, nesterov, weight_decay):
    settings = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    parameters, others = _parameters(), _parameters()
    optimizer = SGD(parameters, **settings)
    reference = torch.optim.SGD(others, lr=1.0, fused=True, **settings)
    for step in range(4):
        rate = 0.1 / (step + 1)
        optimizer.step(_gradients(step), rate)
        reference.param_groups[0]["lr"] = rate
        for other, gradient in zip(others, _gradients(step), strict=True):
            other.grad = gradient
        reference.step()
        assert all(map(torch.equal, parameters, others))
