"""Options and arguments that several commands share."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.records.ledger import Ledger
from analysis.records.sweeps import open_sweep
from analysis.storage.folder import Folder, LocalFolder
from sweep.errors import UsageError

DEFAULT_STORAGE = "runs"

StorageOption = Annotated[
    str,
    typer.Option(
        "--storage", envvar="SWEEP_STORAGE", help="Folder or s3:// URI that holds the sweeps."
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="SWEEP_DATA",
        help="Folder with MNIST's files. [default: the user's cache]",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.")
]
NameArgument = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="A sweep; if left out, the newest.", show_default=False),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Trials at a time. [default: as the processors allow]", show_default=False
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAY_ADDRESS",
        help="Ray cluster: auto or HOST:PORT. [default: Ray on this machine]",
        show_default=False,
    ),
]
AcceptOption = Annotated[
    bool,
    typer.Option("--accept-changes", help="Go on although config or versions have changed."),
]


def storage_folder(location: str) -> Folder:
    """Returns the folder that `--storage` names.

    Raises:
        UsageError: It names something that is no folder.
    """
    if "://" in location:
        from analysis.storage.object_store import mask_credentials, open_store

        try:
            return open_store(location)
        except ValueError as error:
            raise UsageError(
                f"`--storage` cannot be {mask_credentials(location)}: {error}"
            ) from error
    try:
        path = Path(location).expanduser().absolute()
    except RuntimeError as error:  # there is no such user
        raise UsageError(f"`--storage` cannot be {location}: {error}") from error
    if path.exists() and not path.is_dir():
        raise UsageError(f"`--storage` must be a folder, but {path} is a file")
    return LocalFolder(path)


def find_sweep(storage: str, name: str | None) -> tuple[Folder, Ledger]:
    """Returns the folder and the ledger of the sweep that a command is about.

    Raises:
        UsageError: There is no such sweep.
        LedgerError: Its ledger is damaged.
    """
    try:
        folder, ledger = open_sweep(storage_folder(storage), name)
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    if ledger.truncated_bytes:
        say(f"warning: the last line of {folder}/ledger.jsonl is half written and was left out")
    return folder, ledger


def follow_up(command: str, folder: Folder) -> str:
    """Returns a command to type next about the sweep in `folder`, wherever that lies."""
    words = ["sweep", *command.split(), folder.name]
    usual = storage_folder(os.environ.get("SWEEP_STORAGE", DEFAULT_STORAGE)).child(folder.name)
    return shlex.join(words if folder == usual else [*words, "--storage", folder.storage])


def say(text: str) -> None:
    """Prints something that is not the result, on standard error."""
    print(text, file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Prints a JSON document on standard output."""
    print(json.dumps(document, indent=2, allow_nan=False))
