"""Packages that only some users need."""

import importlib
from typing import Any

from sweep.errors import UsageError


def import_extra(module: str, purpose: str, requirement: str) -> Any:
    """Import a module of an optional package; UsageError says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{purpose} needs a package that is not installed; install it with: "
            f"pip install '{requirement}'"
        ) from error
