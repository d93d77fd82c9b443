"""What `run`, `resume` and `confirm` share: from the options to the printed result."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from analysis.errors import InUseError, LedgerError, StorageError
from analysis.records.ledger import Ledger, read_first_record
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder
from sweep.cli.options import follow_up
from sweep.cli.output import say
from sweep.cli.setup import describe_size, load_data
from sweep.cli.summary import check_failures, print_result
from sweep.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from data_utils.dataset import TrainTest
    from sweep.config import SweepConfig
    from sweep.driver.session import Session


@dataclass(frozen=True)
class Computing:
    """The options of a command that trains: where, how many at a time, and on which data."""

    address: str | None
    concurrency: int | None
    data: Path | None

    def prepare(self, config: "SweepConfig") -> "tuple[str, TrainTest]":
        """Check the options and load the data set, before anything is written.

        Returns:
            What is about to start, in a few words; and the data.

        Raises:
            UsageError: This machine does not have the resources.
            DataError: The data folder does not exist, or the data set cannot be loaded.
        """
        # Ray takes seconds to import: mistakes in the command line are reported before.
        from sweep.driver.session import describe_start

        start = describe_start(
            config.resources, address=self.address, concurrency=self.concurrency
        )
        return start, load_data(config.dataset, self.data)


def search_and_confirm(
    folder: Folder,
    config: "SweepConfig",
    computing: Computing,
    start: str,
    data: "TrainTest",
    *,
    as_json: bool,
    is_new: bool = False,
) -> None:
    """Run what a sweep lacks, its confirmation included, and print the result.

    Raises:
        UsageError: The sweep should be new, but another process has begun it meanwhile.
    """
    from sweep.driver.confirm import run_confirmation
    from sweep.driver.search import run_search

    say(f"sweep {folder.name}: {describe_size(config)}, {start}")
    with at_work(folder, config, computing) as session:
        if is_new and read_first_record(folder) is not None:
            raise UsageError(f"another process has begun the sweep {folder.name} meanwhile")
        ledger = run_search(session, config, name=folder.name, data=data)
        if config.confirm is not None and rank_trials(ledger):
            run_confirmation(session, config, ledger, plan=config.confirm, data=data)
    finish(folder, ledger, as_json=as_json)


def finish(folder: Folder, ledger: Ledger, *, as_json: bool) -> None:
    """Draw the plots, write the report and print the result.

    Raises:
        NoTrialError: No trial ran all its epochs, or one failed for a reason other than
            divergence.
        StorageError: The plots cannot be written; the result is printed anyway.
    """
    from analysis.plots.gallery import draw_all
    from analysis.report.page import write_report

    try:
        draw_all(folder, "png")
        write_report(folder)
    except (StorageError, KeyboardInterrupt) as error:
        again = f"{follow_up('plot', folder)}; {follow_up('report', folder)}"
        hint = f"the sweep itself is finished; write its plots and report with: {again}"
        if isinstance(error, KeyboardInterrupt):
            say(f"interrupted; {hint}")
        error.add_note(hint)
        raise
    finally:
        print_result(folder, ledger, as_json=as_json)
    check_failures(ledger)


@contextlib.contextmanager
def at_work(
    folder: Folder, config: "SweepConfig", computing: Computing, *, again: str = "resume"
) -> "Iterator[Session]":
    """Open a session; `again` is the command that continues, without program and sweep."""
    from sweep.cli.screen.display import TerminalScreen
    from sweep.driver.session import open_session

    with (
        advising(folder, again),
        open_session(
            config.resources,
            folder,
            address=computing.address,
            concurrency=computing.concurrency,
            advise=lambda: _how_to_continue(folder, again),
            make_screen=TerminalScreen,
        ) as session,
    ):
        yield session


@contextlib.contextmanager
def advising(folder: Folder, again: str = "resume") -> Iterator[None]:
    """Say what to do if a signal, another driver, the storage or the cluster ends the block.

    After a signal the command exits with the code of the signal.
    """
    from sweep.driver.signals import Interrupted

    try:
        yield
    except Interrupted as interrupted:
        say(f"interrupted; {_how_to_continue(folder, again)}")
        raise typer.Exit(interrupted.exit_code) from None
    except InUseError as error:
        error.add_note(f"watch it with: {follow_up('status --follow', folder)}")
        raise
    except (StorageError, ClusterError) as error:
        error.add_note(_how_to_continue(folder, again))
        raise


def _how_to_continue(folder: Folder, again: str) -> str:
    with contextlib.suppress(StorageError, LedgerError):  # the storage may be what has failed
        if read_first_record(folder) is None:
            return f"the sweep {folder.name} has not begun"
    return f"every finished epoch is kept, continue with: {follow_up(again, folder)}"
