"""Packages that only some users need."""

import importlib
import shlex
from importlib.metadata import requires
from typing import Any

from sweep.errors import UsageError


def import_extra(module: str, purpose: str, extra: str) -> Any:
    """Import a module of the optional packages `extra`; UsageError says how to install them."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        mark = f'extra == "{extra}"'
        wanted = [name.split(";")[0] for name in requires("lenet-sweep") or () if mark in name]
        raise UsageError(
            f"{purpose} needs a package that is not installed; install it with: "
            f"pip install {shlex.join(wanted)}"
        ) from error
