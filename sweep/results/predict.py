"""The digits that a network sees in image files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from data_utils.batches import normalise
from data_utils.digits import read_digit
from data_utils.errors import DataError
from sweep.errors import UsageError
from sweep.training.evaluation import predict_probabilities


def read_images(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Read image files and prepare them as MNIST's images are.

    Returns:
        Images, uint8 [n, 28, 28].

    Raises:
        UsageError: A file cannot be read, or shows no digit; the text names each such file.
    """
    images, complaints = [], []
    for path in paths:
        try:
            images.append(read_digit(path))
        except DataError as error:
            complaints.append(str(error))
    if complaints:
        several = f"{len(complaints)} images cannot be used:\n  " if len(complaints) > 1 else ""
        raise UsageError(several + "\n  ".join(complaints))
    return np.stack(images)


def predict(network: nn.Module, images: NDArray[np.uint8]) -> list[list[float]]:
    """Return for each image, uint8 [n, 28, 28], the probabilities of the digits 0 to 9."""
    pixels = torch.from_numpy(images).unsqueeze(1).float()
    labels = torch.zeros(len(images), dtype=torch.int64)
    probabilities: list[list[float]] = predict_probabilities(
        network, [(normalise(pixels), labels)]
    ).tolist()
    return probabilities
