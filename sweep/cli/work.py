"""What `run`, `resume` and `confirm` share: from a prepared folder to the printed result."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from analysis.errors import InUseError, StorageError
from analysis.records.ledger import Ledger, has_begun
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from sweep.cli.fetch import load_data
from sweep.cli.options import follow_up, say
from sweep.cli.screen.formatting import count
from sweep.cli.summary import check_failures, print_result
from sweep.config import SweepConfig
from sweep.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from sweep.driver.session import Session


def size(config: SweepConfig) -> str:
    """Returns how large a sweep is to be, in words."""
    trials, epochs = count(config.trials, "trial"), count(config.epochs, "epoch")
    return f"{trials} of up to {epochs}"


def work_on(
    folder: Folder,
    config: SweepConfig,
    *,
    data: Path | None,
    address: str | None,
    concurrency: int | None,
    as_json: bool,
    is_new: bool = False,
) -> None:
    """Runs what a sweep lacks, its confirmation included, and prints the result.

    Raises:
        UsageError: The sweep is to be a new one, but another process has begun it meanwhile.
    """
    # Ray takes seconds to import: mistakes in the command line are told before.
    from sweep.driver.confirm import run_confirmation
    from sweep.driver.search import run_search
    from sweep.driver.session import describe_start

    start = describe_start(config.resources, address=address, concurrency=concurrency)
    mnist = load_data(data)
    say(f"sweep {folder.name}: {size(config)}, {start}")
    with at_work(folder, config, address=address, concurrency=concurrency) as session:
        if is_new and has_begun(folder):
            raise UsageError(f"another process has begun the sweep {folder.name} meanwhile")
        ledger = run_search(session, config, name=folder.name, mnist=mnist)
        if config.confirm is not None and rank_trials(ledger):
            run_confirmation(session, config, ledger, plan=config.confirm, mnist=mnist)
    finish(folder, ledger, as_json=as_json)


def finish(folder: Folder, ledger: Ledger, *, as_json: bool) -> None:
    """Draws the pictures, writes the report and prints the result.

    Raises:
        NoTrialError: No trial ran all its epochs, or one failed otherwise than by diverging.
        StorageError: The storage does not take the pictures; the result is printed all the same.
    """
    from analysis.plots import draw_all
    from analysis.report.page import write_report

    try:
        draw_all(folder, "png")
        write_report(folder)
    except (StorageError, KeyboardInterrupt) as error:
        again = f"{follow_up('plot', folder)}; {follow_up('report', folder)}"
        hint = f"the sweep itself is finished; draw it again with: {again}"
        if isinstance(error, KeyboardInterrupt):
            say(f"interrupted; {hint}")
        error.add_note(hint)
        raise
    finally:
        print_result(folder, ledger, as_json=as_json)
    check_failures(ledger)


@contextlib.contextmanager
def at_work(
    folder: Folder,
    config: SweepConfig,
    *,
    address: str | None,
    concurrency: int | None,
    again: str = "resume",
) -> "Iterator[Session]":
    """Opens a session, and says how to go on where a signal, the storage or the cluster ends it.

    After a signal the command ends with its exit code.

    Args:
        folder: The sweep's.
        config: The sweep's.
        address: Of a Ray cluster; None for this machine.
        concurrency: Trials at a time; None for as many as there is room for.
        again: The command that goes on, without program and sweep.
    """
    from sweep.cli.screen.display import TerminalScreen
    from sweep.driver.session import open_session
    from sweep.driver.signals import Interrupted

    try:
        with open_session(
            config.resources,
            folder,
            address=address,
            concurrency=concurrency,
            advise=lambda: _how_to_go_on(folder, again),
            make_screen=TerminalScreen,
        ) as session:
            yield session
    except Interrupted as interrupted:
        say(f"interrupted; {_how_to_go_on(folder, again)}")
        raise typer.Exit(interrupted.exit_code) from None
    except InUseError as error:
        error.add_note(f"watch a search with: {follow_up('status --follow', folder)}")
        raise
    except (StorageError, ClusterError) as error:
        error.add_note(_how_to_go_on(folder, again))
        raise


def _how_to_go_on(folder: Folder, again: str) -> str:
    with contextlib.suppress(StorageError):  # the storage may be what has failed
        if not has_begun(folder):
            return f"the sweep {folder.name} has not begun"
    return f"every finished epoch is kept, go on with: {follow_up(again, folder)}"
