"""What is measured in training; it is read where there is no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """What one epoch came to.

    Attributes:
        epoch: From 1.
        train_loss: Mean cross-entropy of the images as the network saw them in training, each
            before the step it went into.
        train_accuracy: Fraction of those classified correctly, in [0, 1].
        val_loss: Mean cross-entropy of the evaluation images, after the epoch.
        val_accuracy: Fraction of those classified correctly, in [0, 1].
        seconds: Wall time, training and evaluation.
        images_per_s: Training alone.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float
    images_per_s: float
