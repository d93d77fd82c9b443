"""Stochastic gradient descent."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class SGD:
    """`torch.optim.SGD(fused=True)` without what that class does around the function it calls.

    The numbers are the same, bit for bit. The class would take 6 % of a step of LeNet-5 here
    (with `backward`, which it needs), and 1.6 s of every worker's start: it imports torch's
    compiler.

    Args:
        parameters: What to move.
        momentum: In [0, 1).
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: L2 coefficient, at least 0.

    Attributes:
        parameters: To take the gradients with respect to, in this order.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
    ) -> None:
        self.parameters = list(parameters)
        self._update = functools.partial(
            sgd,
            fused=True,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=weight_decay,
            dampening=0.0,
            maximize=False,
        )
        self._velocities: list[Tensor | None] = [None] * len(self.parameters)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], learning_rate: float) -> None:
        """Moves each parameter against its gradient."""
        self._update(self.parameters, list(gradients), self._velocities, lr=learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """Returns what changes from step to step beside the parameters; not a copy."""
        return {"velocities": self._velocities}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over a copy of a state."""
        self._velocities = [
            None if velocity is None else velocity.to(parameter.device, copy=True)
            for velocity, parameter in zip(state["velocities"], self.parameters, strict=True)
        ]
