import pytest
import torch
from torch import Generator, nn

from models import build_model
from sweep.training.evaluation import evaluate, predict_probabilities


def _batches(n: int, batch_size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = Generator().manual_seed(4)
    images = torch.randn(n, 1, 28, 28, generator=generator)
    labels = torch.randint(0, 10, (n,), generator=generator)
    return list(zip(images.split(batch_size), labels.split(batch_size), strict=True))


def test_evaluate_means_over_images_not_batches():
    model = build_model("lenet5", dropout=0.5, generator=Generator().manual_seed(1))
    ((images, labels),) = _batches(50, 50)
    loss, accuracy = evaluate(model, _batches(50, 16))
    logits = model(images)
    assert loss == pytest.approx(nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert accuracy == (logits.argmax(1) == labels).sum().item() / 50


def test_predict_probabilities_keeps_the_order_of_the_images():
    model = build_model("mlp", dropout=0.5, generator=Generator().manual_seed(1))
    ((images, _),) = _batches(50, 50)
    probabilities = predict_probabilities(model, _batches(50, 16))
    assert probabilities.shape == (50, 10)
    torch.testing.assert_close(probabilities, model(images).softmax(1).detach())
    torch.testing.assert_close(probabilities.sum(1), torch.ones(50))
