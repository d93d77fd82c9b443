import torch
from torch import Generator, nn

from models import CustomMLP


def test_mlp_has_64630_parameters():
    assert sum(parameter.numel() for parameter in CustomMLP().parameters()) == 64_630


def test_mlp_agrees_with_the_plain_network():
    model = CustomMLP()
    plain = nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(784, 80), nn.ReLU()),
        *(nn.Linear(80, 20), nn.ReLU()),
        nn.Linear(20, 10),
    )
    plain.load_state_dict(dict(zip(plain.state_dict(), model.state_dict().values(), strict=True)))
    images = torch.randn(7, 1, 28, 28, generator=Generator().manual_seed(2))
    torch.testing.assert_close(model(images), plain(images))


def test_mlp_applies_dropout_after_each_hidden_layer():
    model = CustomMLP(dropout=0.5, generator=Generator().manual_seed(1))
    n_activations = []
    model.dropout.register_forward_hook(lambda _, __, out: n_activations.append(out.numel()))
    images = torch.randn(8, 1, 28, 28, generator=Generator().manual_seed(2))
    dropped = model(images)
    assert n_activations == [8 * 80, 8 * 20]
    assert not torch.equal(dropped, model.eval()(images))
