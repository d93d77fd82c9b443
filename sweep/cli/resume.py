"""`sweep resume`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.records.files import REPORT_FILE
from analysis.records.ledger import Ledger
from analysis.storage.folder import Folder
from sweep.cli.options import (
    DEFAULT_STORAGE,
    AcceptOption,
    AddressOption,
    ConcurrencyOption,
    DataOption,
    JsonOption,
    NameArgument,
    StorageOption,
    find_sweep,
    say,
)

if TYPE_CHECKING:
    from sweep.config import SweepConfig


def resume(
    name: NameArgument = None,
    trials: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Extend it to so many trials.")
    ] = None,
    accept_changes: AcceptOption = False,
    address: AddressOption = None,
    concurrency: ConcurrencyOption = None,
    data: DataOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Finish a sweep that was cut off, or extend it."""
    from sweep.config import SweepConfig

    folder, ledger = find_sweep(storage, name)
    go_on(
        folder,
        ledger,
        SweepConfig.model_validate(ledger.config | ({"trials": trials} if trials else {})),
        accept_changes=accept_changes,
        data=data,
        address=address,
        concurrency=concurrency,
        as_json=as_json,
    )


def go_on(
    folder: Folder,
    ledger: Ledger,
    config: "SweepConfig",
    *,
    accept_changes: bool,
    data: Path | None,
    address: str | None,
    concurrency: int | None,
    as_json: bool,
) -> None:
    """Runs what a sweep lacks of what `config` asks for.

    Raises:
        UsageError: The config, or a version, is not what the sweep began with.
    """
    from sweep.cli.summary import print_result
    from sweep.cli.work import finish, work_on
    from sweep.driver.folders import write_environment
    from sweep.driver.missing import find_missing
    from sweep.driver.resume import check_changes

    changes = check_changes(folder, ledger, config, accept_changes=accept_changes)
    missing = find_missing(folder, ledger, config)
    if not missing:
        say(f"nothing is left to do for {folder.name}")
        if folder.exists(REPORT_FILE):
            print_result(folder, ledger, as_json=as_json)
        else:
            finish(folder, ledger, as_json=as_json)
        return
    if changes:
        write_environment(folder)
    say(f"resuming {folder.name}: {missing}")
    work_on(folder, config, data=data, address=address, concurrency=concurrency, as_json=as_json)
