"""`sweep run`."""

from pathlib import Path
from typing import Annotated

import typer

from analysis.records.sweeps import list_sweeps
from sweep.cli.options import (
    DEFAULT_STORAGE,
    AcceptOption,
    AddressOption,
    ConcurrencyOption,
    DataOption,
    JsonOption,
    StorageOption,
    find_sweep,
    say,
    storage_folder,
)


def run(
    preset: Annotated[
        str | None, typer.Option(help="quick, classic or best. [default: classic]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A config, laid over the preset.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One key, as recipe.momentum=0.95."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the sweep. [default: the preset's, and the time]")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="How many trials to run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a trial.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the search and its trials.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the sweep, if there is one.")
    ] = False,
    accept_changes: AcceptOption = False,
    search_only: Annotated[bool, typer.Option("--search-only", help="Do not confirm.")] = False,
    address: AddressOption = None,
    concurrency: ConcurrencyOption = None,
    data: DataOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Search for the best hyperparameters, then confirm them against the baselines."""
    from sweep.cli.resume import go_on
    from sweep.cli.work import work_on
    from sweep.config.resolve import Overrides, resolve_config
    from sweep.driver.folders import check_name, exists, name_after, prepare_folder

    resolved = resolve_config(
        preset=preset,
        path=config,
        overrides=Overrides(settings or (), trials=trials, epochs=epochs, seed=seed),
        notify=lambda note: say(f"note: {note}"),
    )
    if search_only:
        resolved = resolved.model_copy(update={"confirm": None})
    sweeps = storage_folder(storage)
    if name is None and resume:
        found, _ = list_sweeps(sweeps)
        name = found[0].name if found else None
    stem = config.stem if config is not None else preset or "classic"
    name = name_after(stem) if name is None else name
    check_name(name)
    if resume and exists(sweeps, name):
        go_on(
            *find_sweep(storage, name),
            resolved,
            accept_changes=accept_changes,
            data=data,
            address=address,
            concurrency=concurrency,
            as_json=as_json,
        )
        return
    folder = prepare_folder(sweeps, name, resolved)
    work_on(
        folder,
        resolved,
        data=data,
        address=address,
        concurrency=concurrency,
        as_json=as_json,
        is_new=True,
    )
