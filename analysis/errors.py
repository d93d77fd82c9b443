"""Errors of the files that a sweep leaves behind. Every command that meets one exits with 4."""

import errno


class LedgerError(Exception):
    """A file of a sweep is damaged; the message names it, and the line if it has lines."""


class StorageError(OSError):
    """The storage cannot be read or written.

    It is made from a number, a reason and a file, as any OSError, or from a message alone.
    """


class InUseError(StorageError):
    """Another process is working on the sweep."""


def describe_cause(error: OSError) -> str:
    """Return in a few words why a file cannot be read or written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full, make room there"
    return error.strerror or str(error)
