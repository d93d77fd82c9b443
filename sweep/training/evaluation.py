"""Evaluation of a network on images that it does not learn from."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@torch.no_grad()  # a network could not train with a tensor that it keeps of `inference_mode`
def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Put a network into evaluation mode, and return its loss and accuracy.

    The loss is the mean cross-entropy, the accuracy a fraction. The batches of images
    [n, channels, side, side] and labels [n] are on the model's device; there is at least one.
    """
    # The sums stay on the device, so that a GPU is waited for once.
    loss = correct = torch.zeros((), dtype=torch.float64)
    n_images = 0
    model.eval()
    for images, labels in batches:
        logits = model(images).float()
        loss = F.cross_entropy(logits, labels, reduction="sum").double() + loss
        correct = (logits.argmax(1) == labels).sum() + correct
        n_images += len(labels)
    return loss.item() / n_images, correct.item() / n_images


@torch.no_grad()
def predict_probabilities(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the probability of each class for each image, in order: [n, n_classes], on the CPU.

    As in `evaluate`, the model is put into evaluation mode; the labels are not used.
    """
    model.eval()
    return torch.cat([model(images).float().softmax(1) for images, _ in batches]).cpu()
