"""CustomMLP, the small fully connected baseline."""

from torch import Generator, Tensor, nn

from models.dropout import Dropout
from models.initialisation import initialize


class CustomMLP(nn.Module):
    """784-80-20-10 with ReLU: 64,630 parameters.

    | layer    | parameters            |
    |----------|-----------------------|
    | hidden 1 | 784·80 + 80 = 62,800  |
    | hidden 2 | 80·20 + 20 = 1,620    |
    | output   | 20·10 + 10 = 210      |

    Args:
        dropout: Probability of dropping an activation after each hidden layer, in [0, 1).
        generator: Draws the weights and the dropout masks; the network is created on its device.
            None: torch's global generator.

    Raises:
        ValueError: `dropout` is not in [0, 1).
    """

    def __init__(self, *, dropout: float = 0.0, generator: Generator | None = None) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(28 * 28, 80, device="meta")
        self.hidden2 = nn.Linear(80, 20, device="meta")
        self.output = nn.Linear(20, 10, device="meta")
        self.dropout = Dropout(dropout, generator)
        initialize(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [n, 10] of normalized images [n, 1, 28, 28]."""
        x = self.dropout(self.hidden1(images.flatten(1)).relu())
        x = self.dropout(self.hidden2(x).relu())
        logits: Tensor = self.output(x)
        return logits
