"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from data_utils.registry import DATASETS

StorageOption = Annotated[
    str,
    typer.Option(
        metavar="DIR",
        envvar="SWEEP_STORAGE",
        help="Folder or URI (s3://, gs://, az://) of the sweeps.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="SWEEP_DATA",
        help="Folder of downloaded data. [default: the user's cache]",
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help=f"{', '.join(DATASETS)}, or a path: a folder of images by class, or an .npz file. "
        "[default: mnist]",
    ),
]
PresetOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="quick, classic or best. [default: classic]")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.")
]
NameArgument = Annotated[
    str | None, typer.Argument(metavar="NAME", help="A sweep. [default: the newest]")
]
AcceptOption = Annotated[
    bool, typer.Option("--accept-changes", help="Continue even if the config or versions changed.")
]
TimeBudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="T", help="Start no trial after this time, such as 30m. [default: the preset's]"
    ),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Maximum number of concurrent trials. [default: as many as fit]"
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        envvar="RAY_ADDRESS",
        help="Ray cluster: auto or HOST:PORT. [default: Ray on this machine]",
    ),
]
