"""The errors that are not bugs, and the exit code of each.

    Exception
    ├── UsageError           2  a command line, a config or an image is wrong; no such sweep
    ├── NetworkError         2  a network of the user's own cannot be used  (models)
    ├── ClusterError         4  Ray, here or on a cluster, cannot be used, or was ended
    ├── TrackerError         4  a tracker, such as an MLflow server, cannot be used
    ├── NoTrialError         5  no trial completed, or one failed without diverging
    ├── DataError            3  the data is missing, damaged or cannot be stored  (data_utils)
    ├── LedgerError          4  a file of a sweep is damaged  (analysis)
    └── OSError
        └── StorageError     4  the storage cannot be read or written  (analysis)
            └── InUseError   4  another process is working on the sweep  (analysis)

Any other exception is a bug: it ends in a traceback and exit code 1. So does any other OSError:
those that a user can cause are caught where they happen, and raised again as one of these.
"""

from analysis.errors import LedgerError, StorageError, describe_cause
from data_utils.errors import DataError
from models.own import NetworkError as NetworkError


class UsageError(Exception):
    """A command line, a config or an image is wrong, or a sweep does not exist."""


class ClusterError(Exception):
    """The cluster, or Ray on this machine, cannot be reached or used."""


class TrackerError(Exception):
    """A tracker cannot be reached or written."""


class NoTrialError(Exception):
    """No trial ran all its epochs, or one failed for another reason than divergence."""


EXIT_CODES: dict[type[Exception], int] = {
    UsageError: 2,
    NetworkError: 2,
    DataError: 3,
    ClusterError: 4,
    TrackerError: 4,
    LedgerError: 4,
    StorageError: 4,
    NoTrialError: 5,
}


def describe_failure(error: Exception) -> tuple[str, int] | None:
    """Return the message and the exit code for an error; None if it is a bug.

    The notes that were added to the error follow its message, one per line.
    """
    exit_codes = [code for kind, code in EXIT_CODES.items() if isinstance(error, kind)]
    if not exit_codes:
        return None
    message = str(error)
    if isinstance(error, StorageError) and error.errno is not None:
        where = f" {error.filename}" if error.filename else ""
        message = f"storage{where}: {describe_cause(error)}"
    return "\n".join([message, *getattr(error, "__notes__", ())]), exit_codes[0]
