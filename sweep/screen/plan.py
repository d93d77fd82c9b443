"""What a sweep searches, and how large it is."""

import textwrap
from functools import partial
from typing import TextIO

from analysis.formatting import count
from analysis.hyperparameters import format_value, without_idle_extras
from sweep.config import SweepConfig
from sweep.networks import initial_points
from sweep.screen.output import escape, open_console


def describe_size(config: SweepConfig) -> str:
    """Return how large a sweep is, such as `32 trials of up to 15 epochs`."""
    n = config.trials
    size = f"{count(n, 'trial')} of up to {count(config.epochs, 'epoch')}"
    if config.preview_epochs is not None:
        n_previews = sum(config.epochs_of(i, n) < config.epochs for i in range(1, n + 1))
        size += f", with {count(n_previews, 'preview')} of {config.preview_epochs}"
    return size + (f", none started after {config.time_budget}" if config.time_budget else "")


def print_space(config: SweepConfig, stream: TextIO) -> None:
    """Print what is searched, fixed and off, and which point is tried first."""
    off = config.off()
    searched = [
        f"{name} {dimension.describe(partial(format_value, name))}"
        for name, dimension in config.space.items()
    ]
    fixed = [
        f"{name} {format_value(name, value)}"
        for name, value in without_idle_extras(config.recipe).items()
        if name not in config.space and name not in off
    ]
    for label, names in (("searched", searched), ("fixed", fixed), ("off", off)):
        if names:
            print_entry(label, ", ".join(names), stream)
    if points := initial_points(config):
        first, *others = points
        point = ", ".join(f"{name} {format_value(name, value)}" for name, value in first.items())
        more = f"; {count(len(others), 'other point')}" if others else ""
        print_entry("first", point + more, stream)


def print_entry(label: str, text: str, stream: TextIO) -> None:
    """Print one of the entries that describe a sweep, broken between words."""
    lines = textwrap.fill(
        f"  {label:9} {text}", open_console(stream).width, subsequent_indent=12 * " "
    )
    print(escape(lines), file=stream, flush=True)
