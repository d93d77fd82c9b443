"""CustomMLP, the small fully connected baseline, in plain PyTorch."""

from torch import Tensor, nn


class CustomMLP(nn.Module):
    """784-80-20-10 with ReLU: 64,630 parameters on gray images of 28×28 pixels.

    | layer    | parameters            |
    |----------|-----------------------|
    | hidden 1 | 784·80 + 80 = 62,800  |
    | hidden 2 | 80·20 + 20 = 1,620    |
    | output   | 20·10 + 10 = 210      |

    `dropout` is the probability of dropping an activation after each hidden layer, in [0, 1].
    """

    def __init__(
        self, *, dropout: float = 0.0, n_channels: int = 1, side: int = 28, n_classes: int = 10
    ) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(n_channels * side * side, 80)
        self.hidden2 = nn.Linear(80, 20)
        self.output = nn.Linear(20, n_classes)
        self.dropout: nn.Module = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [n, n_classes] of normalized images [n, n_channels, side, side]."""
        x = self.dropout(self.hidden1(images.flatten(1)).relu())
        x = self.dropout(self.hidden2(x).relu())
        logits: Tensor = self.output(x)
        return logits
