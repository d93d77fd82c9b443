"""Datasets by name, their split, batches, and augmentation of whole batches."""

from typing import Literal

Split = Literal["contiguous", "random"]
"""How images are set aside: of each class those that follow one another, or any."""

DEFAULT_SPLIT: Split = "contiguous"
