"""Errors about the files of a sweep. Each ends a command with exit code 4."""

import errno


class LedgerError(Exception):
    """A file of a sweep is damaged; the message names it, and the line if it has lines."""


class StorageError(OSError):
    """The storage cannot be read or written; made as any OSError, or with a message alone."""


class InUseError(StorageError):
    """Another process is working on the sweep."""


def is_disk_full(error: OSError) -> bool:
    """Return whether there was no space for a file."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def describe_cause(error: OSError) -> str:
    """Return in a few words why a file cannot be read or written."""
    if is_disk_full(error):
        return "the disk is full: free some space"
    return error.strerror or str(error)
