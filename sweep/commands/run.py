"""`sweep run`."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import (
    DEFAULT_STORAGE,
    ConcurrencyOption,
    DataOption,
    JsonOption,
    StorageOption,
    print_json,
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
        typer.Option("--set", metavar="KEY=VALUE", help="Set one key, as recipe.learning_rate=0.02."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the sweep. [default: the preset's, and the time]")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="How many trials to run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a trial.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the search and its trials.")] = None,
    concurrency: ConcurrencyOption = None,
    data: DataOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Search for the best hyperparameters."""
    from sweep.commands.fetch import load_data
    from sweep.commands.summary import best_document, print_summary
    from sweep.config_file import Overrides, resolve_config
    from sweep.interruption import Interrupted
    from sweep.launch import check_name, count_slots, launch_search, prepare_folder

    resolved = resolve_config(
        preset=preset,
        path=config,
        overrides=Overrides(settings or (), trials=trials, epochs=epochs, seed=seed),
        notify=lambda note: print(f"note: {note}", file=sys.stderr),
    )
    stem = config.stem if config is not None else preset or "classic"
    name = name or f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    check_name(name)
    slots = count_slots(resolved, concurrency)
    folder = prepare_folder(storage_folder(storage), name)
    mnist = load_data(data)
    try:
        ledger = launch_search(resolved, folder=folder, name=name, mnist=mnist, slots=slots)
    except Interrupted as interrupted:
        print(f"interrupted; every finished epoch is in {folder}", file=sys.stderr)
        raise typer.Exit(interrupted.exit_code) from None
    if as_json:
        print_json(best_document(folder, ledger))
    else:
        print_summary(folder, ledger)
