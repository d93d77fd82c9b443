"""Options and arguments that several commands share, and the sweep that they name."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from analysis.records.ledger import Ledger
from analysis.records.sweeps import open_sweep
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from sweep.cli.output import say
from sweep.errors import UsageError

DEFAULT_STORAGE = "runs"

StorageOption = Annotated[
    str,
    typer.Option(
        "--storage",
        metavar="DIR",
        envvar="SWEEP_STORAGE",
        help="Folder or URI (s3://, gs://) of the sweeps.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar="SWEEP_DATA",
        help="Folder of the files of a dataset with a name. [default: the user's cache]",
        show_default=False,
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="DATA",
        help="mnist, fashion-mnist, kmnist, qmnist, or a path: a folder of images by class, or "
        "an .npz file. [default: mnist]",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.")
]
NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="A sweep. [default: the newest]", show_default=False),
]
AcceptOption = Annotated[
    bool,
    typer.Option("--accept-changes", help="Continue even if the config or versions changed."),
]
TimeBudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="T", help="Start no trial after this time, such as 30m. [default: the preset's]"
    ),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Trials at a time. [default: as many as fit]"),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        envvar="RAY_ADDRESS",
        help="Ray cluster: auto or HOST:PORT. [default: Ray on this machine]",
    ),
]


def storage_folder(location: str) -> Folder:
    """Return the folder that `--storage` names.

    Raises:
        UsageError: It cannot be a folder.
    """
    if "://" in location:
        from analysis.storage.connection import mask_credentials
        from analysis.storage.object_store import open_store

        try:
            return open_store(location)
        except ValueError as error:
            shown = mask_credentials(location)
            raise UsageError(f"`--storage` cannot be {shown}: {error}") from error
    try:
        path = Path(location).expanduser().absolute()
        is_file = path.exists() and not path.is_dir()
    except (OSError, RuntimeError) as error:  # a RuntimeError if there is no such user
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"`--storage` cannot be {location}: {why}") from error
    if is_file:
        raise UsageError(f"`--storage` must be a folder, but {path} is a file")
    return LocalFolder(path)


def find_sweep(storage: str, name: str | None) -> tuple[Folder, Ledger]:
    """Return the folder and the ledger of a sweep, by default of the newest.

    Raises:
        UsageError: There is no such sweep.
        LedgerError: Its ledger is damaged.
    """
    try:
        folder, ledger = open_sweep(storage_folder(storage), name)
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    if ledger.truncated_bytes:
        say(f"warning: the damaged end of {folder}/ledger.jsonl is ignored")
    return folder, ledger


def follow_up(command: str, folder: Folder) -> str:
    """Return the next command to type for the sweep in `folder`, with its storage if necessary."""
    words = ["sweep", *command.split(), folder.name]
    usual = storage_folder(os.environ.get("SWEEP_STORAGE", DEFAULT_STORAGE)).child(folder.name)
    return shlex.join(words if folder == usual else [*words, "--storage", folder.storage])
