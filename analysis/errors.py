"""What can be wrong with the files of a sweep."""


class LedgerError(Exception):
    """A file of a sweep's is damaged; the message names it, and the line if it has lines."""
