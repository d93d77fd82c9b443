"""The loading of a dataset, with a progress bar."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.screen.output import escape, open_console

if TYPE_CHECKING:
    from data_utils.dataset import TrainTest


def load_data(name: str, folder: Path | None, *, create: bool = False) -> "TrainTest":
    """Load a dataset; download missing files, with a progress bar on standard error.

    The files are in `folder`, by default in the user's cache; `create` makes a missing folder.

    Raises:
        DataError: The folder does not exist, or the dataset cannot be loaded.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from data_utils.registry import load_dataset
    from data_utils.sources import Progress as FetchProgress

    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn())
    is_hidden = not sys.stderr.isatty()
    console = open_console(sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as bar:
        task = bar.add_task("receiving", visible=False)
        progress = FetchProgress(
            message=lambda line: console.print(escape(line), soft_wrap=True),
            transferred=lambda done, total: bar.update(
                task, completed=done, total=total or None, visible=True
            ),
        )
        return load_dataset(name, folder, create=create, progress=progress)
