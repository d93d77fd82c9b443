"""Writes journals into the folder of a sweep, or continues them, as a driver does."""

from typing import Any

from analysis.records.confirmation import Confirmation, ConfirmationWriter
from analysis.records.ledger import Ledger, LedgerWriter, Record, read_ledger
from analysis.storage.folder import Folder


def write_journal(folder: Folder, begun: Ledger | Confirmation, *records: Any) -> Any:
    """Write records after the first one of a journal; return the journal with them."""
    writer: Any
    if isinstance(begun, Ledger):
        writer = LedgerWriter(folder, begun.created)
    else:
        writer = ConfirmationWriter(folder, begun.begun)
    with writer:
        for record in records:
            writer.append(record)
    return writer.journal


def append(folder: Folder, *records: Record) -> None:
    write_journal(folder, read_ledger(folder), *records)
