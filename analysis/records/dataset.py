"""What a sweep records of its data, for those who read the sweep without the data."""

import math

import msgspec


class DataRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of a sweep; the defaults are MNIST's, the only data of version 0.1.0.

    The images, from `channels` on, are described as in `data_utils.dataset.DatasetSpec`.

    Attributes:
        fingerprint: A hash that tells the data from other data.
        n_train: Training images, with those for validation.
        n_validation: Training images that the search sets aside for validation.
    """

    fingerprint: str = "mnist"
    n_train: int = 60_000
    n_validation: int = 10_000
    n_test: int = 10_000
    channels: int = 1
    side: int = 28
    classes: tuple[str, ...] = tuple("0123456789")
    mean: float = 0.1307
    std: float = 0.3081
    is_digits: bool = True

    def image_error(self, accuracy: float, n_images: int | None = None) -> float:
        """Return the standard error of an accuracy on n images, by default the test images.

        It counts two more images of either kind, so that 100 % has an error, too (A. Agresti
        and B. A. Coull, "Approximate is better than “exact”", Am. Statist. 52, 1998).
        """
        n = (n_images or self.n_test) + 4
        likely = (accuracy * (n - 4) + 2) / n
        return math.sqrt(likely * (1 - likely) / n)


MNIST = DataRecord()
