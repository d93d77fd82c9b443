"""The networks that a sweep can train, and how to build one by its name."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from models.registry import MODELS, build_model

if TYPE_CHECKING:
    from models.lenet5 import LeNet5
    from models.mlp import CustomMLP

__all__ = ["MODELS", "CustomMLP", "LeNet5", "build_model"]


def __getattr__(name: str) -> Any:
    """Import a network at its first use, because it imports torch."""
    for target in MODELS.values():
        if target.endswith(f":{name}"):
            return resolve_name(target)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
