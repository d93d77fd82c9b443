"""Appends to the ledger of a sweep, as a driver that goes on."""

from analysis.records.ledger import LedgerWriter, Record, read_ledger
from analysis.storage.folder import Folder


def append(folder: Folder, *records: Record) -> None:
    with LedgerWriter(folder, read_ledger(folder).created) as writer:
        for record in records:
            writer.append(record)
