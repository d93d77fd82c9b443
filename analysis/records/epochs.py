"""The measurements of one epoch: the same for a trial of the search and a run of `confirm`."""

from typing import Annotated

import msgspec

Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Epoch(msgspec.Struct, frozen=True, gc=False):
    """One epoch of a training.

    The evaluation images are the validation images in a search and the test images in a
    confirmation.

    Attributes:
        epoch: From 1.
        train_loss: Mean cross-entropy of the training images during the epoch, with dropout and
            augmentation.
        train_accuracy: Fraction of those classified correctly, in [0, 1].
        val_loss: Mean cross-entropy of the evaluation images after the epoch.
        val_accuracy: Fraction of those classified correctly, in [0, 1].
        seconds: Wall time of training and evaluation.
        images_per_s: Throughput of training alone.
    """

    epoch: int
    train_loss: float
    train_accuracy: Fraction
    val_loss: float
    val_accuracy: Fraction
    seconds: float
    images_per_s: float
