"""LeNet-5 with a fast path for a single CPU core."""

from torch import Tensor

from models.lenet5 import LeNet5
from models.pooled_convolution import convolve_pool_relu


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
