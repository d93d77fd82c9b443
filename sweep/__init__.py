"""Runs a hyperparameter sweep: config, search, resume, confirmation and command line.

From Python: `sweep.run` starts a sweep and `sweep.open` opens one; both return a `Sweep`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.api.sweeps import Sweep as Sweep
    from sweep.api.sweeps import open as open
    from sweep.api.sweeps import run as run

__all__ = ["Sweep", "open", "run"]


def __getattr__(name: str) -> Any:
    # Imported when it is used: `sweep --help` is to answer at once.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sweep.api import sweeps

    return getattr(sweeps, name)
