"""What can be wrong with the files of a sweep."""


class LedgerError(Exception):
    """A sweep's ledger cannot be read; the message names the file and the line."""
