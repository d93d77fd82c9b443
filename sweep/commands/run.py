"""`sweep run`."""

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
    interruptible,
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
    search_only: Annotated[bool, typer.Option("--search-only", help="Do not confirm.")] = False,
    concurrency: ConcurrencyOption = None,
    data: DataOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Search for the best hyperparameters, then confirm them against the baselines."""
    from sweep.commands.fetch import load_data
    from sweep.commands.summary import print_result
    from sweep.config.resolve import Overrides, resolve_config

    resolved = resolve_config(
        preset=preset,
        path=config,
        overrides=Overrides(settings or (), trials=trials, epochs=epochs, seed=seed),
        notify=lambda note: say(f"note: {note}"),
    )
    stem = config.stem if config is not None else preset or "classic"
    name = name or f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    # Ray and torch take seconds to import: a mistake is told before.
    from sweep.launch import check_name, confirm, prepare_folder, search
    from sweep.session import count_slots, open_session

    check_name(name)
    slots = count_slots(resolved.resources, concurrency)
    folder = prepare_folder(storage_folder(storage), name, resolved)
    mnist = load_data(data)
    say(
        f"sweep {name}: {resolved.trials} trials of up to {resolved.epochs} epochs, "
        f"{slots} at a time; starting Ray"
    )
    with interruptible(folder), open_session(resolved.resources, folder, slots) as session:
        ledger = search(session, resolved, name=name, mnist=mnist)
        if resolved.confirm is not None and not search_only:
            confirm(session, resolved, ledger, confirm=resolved.confirm, mnist=mnist)
    print_result(folder, ledger, as_json=as_json)
