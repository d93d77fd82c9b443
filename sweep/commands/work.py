"""What `run`, `resume` and `confirm` share: from a prepared folder to the printed result."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer

from analysis.folder import Folder
from analysis.ledger import Ledger
from sweep.commands.fetch import load_data
from sweep.commands.options import say
from sweep.commands.summary import check_failures, print_result
from sweep.config import SweepConfig


def work_on(
    folder: Folder,
    config: SweepConfig,
    *,
    data: Path | None,
    address: str | None,
    concurrency: int | None,
    as_json: bool,
) -> None:
    """Runs what a sweep lacks, its confirmation included, and prints the result."""
    # Ray and torch take seconds to import: mistakes in the command line are told before.
    from sweep.launch import confirm, search
    from sweep.session import describe_start, open_session

    start = describe_start(config.resources, address=address, concurrency=concurrency)
    mnist = load_data(data)
    say(f"sweep {folder.name}: {config.trials} trials of up to {config.epochs} epochs, {start}")
    with (
        interruptible(folder),
        open_session(
            config.resources, folder, address=address, concurrency=concurrency
        ) as session,
    ):
        ledger = search(session, config, name=folder.name, mnist=mnist)
        if config.confirm is not None:
            confirm(session, config, ledger, confirm=config.confirm, mnist=mnist)
    finish(folder, ledger, as_json=as_json)


def finish(folder: Folder, ledger: Ledger, *, as_json: bool) -> None:
    """Draws the pictures, writes the report and prints the result.

    Raises:
        NoTrialError: No trial ran all its epochs, or one failed otherwise than by diverging.
    """
    from analysis.plots import draw_all
    from analysis.report import write_report

    draw_all(folder, "png")
    write_report(folder)
    print_result(folder, ledger, as_json=as_json)
    check_failures(ledger)


@contextlib.contextmanager
def interruptible(folder: Folder) -> Iterator[None]:
    """Ends the command with the signal's exit code if one interrupts the `with` block."""
    from sweep.interruption import Interrupted

    try:
        yield
    except Interrupted as interrupted:
        say(f"interrupted; every finished epoch is kept, go on with: sweep resume {folder.name}")
        raise typer.Exit(interrupted.exit_code) from None
