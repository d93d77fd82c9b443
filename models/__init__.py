"""The networks that a sweep can train, and how to build one by its name."""

from models.lenet5 import LeNet5
from models.mlp import CustomMLP
from models.registry import MODELS, build_model

__all__ = ["MODELS", "CustomMLP", "LeNet5", "build_model"]
