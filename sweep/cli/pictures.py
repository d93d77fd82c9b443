"""`sweep plot` and `sweep report`: every picture, from files alone."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from analysis.records.files import REPORT_FILE
from analysis.storage.folder import LocalFolder
from sweep.cli.options import (
    DEFAULT_STORAGE,
    JsonOption,
    NameArgument,
    StorageOption,
    find_sweep,
    print_json,
)
from sweep.errors import UsageError


class Format(StrEnum):
    """What pictures can be written as."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


def plot(
    name: NameArgument = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to. [default: the sweep's plots/]"),
    ] = None,
    file_format: Annotated[Format, typer.Option("--format")] = Format.png,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Draw every comparison plot again."""
    from analysis.plots import draw_all

    folder, _ = find_sweep(storage, name)
    target = None if out is None else LocalFolder(out)
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"`--out` must be a folder, but {out} is a file")
    drawn = draw_all(folder, file_format.value, target)
    if as_json:
        print_json({"files": drawn.files, "skipped": drawn.skipped})
        return
    for file in drawn.files:
        print(file)
    for plot_name, reason in drawn.skipped.items():
        print(f"not drawn: {plot_name}: {reason}")


def report(name: NameArgument = None, storage: StorageOption = DEFAULT_STORAGE) -> None:
    """Write the sweep as one self-contained HTML page."""
    from analysis.report.page import write_report

    folder, _ = find_sweep(storage, name)
    write_report(folder)
    print(folder.display_path(REPORT_FILE))
