"""Evaluation of a network on images that it does not learn from."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Return a network's loss and accuracy in evaluation mode; its mode is restored.

    Args:
        model: From images [n, 1, 28, 28] to logits [n, 10].
        batches: Images and labels [n], on the model's device; at least one.

    Returns:
        The mean cross-entropy, and the fraction of images that are classified correctly.
    """
    # The sums stay on the device, so that a GPU is waited for once.
    loss = correct = torch.zeros((), dtype=torch.float64)
    n_images = 0
    with _evaluating(model):
        for images, labels in batches:
            logits = model(images)
            loss = F.cross_entropy(logits, labels, reduction="sum").double() + loss
            correct = (logits.argmax(1) == labels).sum() + correct
            n_images += len(labels)
    return loss.item() / n_images, correct.item() / n_images


def predict_probabilities(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the probability of each class for each image, in order: [n, 10], on the CPU.

    Args:
        model: From images [n, 1, 28, 28] to logits [n, 10]; its mode is restored.
        batches: Images and labels on the model's device; the labels are not used.
    """
    with _evaluating(model):
        return torch.cat([model(images).softmax(1) for images, _ in batches]).cpu()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)
