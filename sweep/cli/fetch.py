"""MNIST for a command, with a progress bar on standard error while it is fetched."""

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from data_utils.mnist import Mnist, load_mnist


def load_data(folder: Path | None, *, create: bool = False) -> Mnist:
    """Load MNIST from `folder`, or from the user's cache; fetch missing files.

    Raises:
        DataError: `folder` does not exist and `create` is False, or MNIST cannot be fetched.
    """
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("receiving", visible=False)

        def on_bytes(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None, visible=True)

        return load_mnist(
            folder,
            create=create,
            notify=lambda line: console.print(line, markup=False, soft_wrap=True),
            on_bytes=on_bytes,
        )
