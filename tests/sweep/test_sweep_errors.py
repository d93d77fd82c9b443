import re

import pytest

import sweep.errors
from analysis.errors import InUseError, LedgerError, StorageError
from data_utils.errors import DataError
from sweep.errors import ClusterError, NoTrialError, UsageError, describe_failure

ERRORS = [UsageError, ClusterError, NoTrialError, DataError, LedgerError, StorageError, InUseError]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_the_exit_code_of_the_drawing(kind):
    drawn = re.search(rf"── {kind.__name__} +(\d)", sweep.errors.__doc__ or "")
    assert drawn is not None
    assert describe_failure(kind("why")) == ("why", int(drawn[1]))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            StorageError(28, "No space left", "/a/b"),
            "storage /a/b: the disk is full: free some space",
        ),
        (StorageError(13, "Permission denied", "/a/b"), "storage /a/b: Permission denied"),
        (StorageError(5, "the store does not answer"), "storage: the store does not answer"),
    ],
)
def test_storage_error_names_the_file_and_the_cause(error, message):
    assert describe_failure(error) == (message, 4)


def test_notes_follow_the_message():
    error = ClusterError("why")
    error.add_note("continue like this")
    assert describe_failure(error) == ("why\ncontinue like this", 4)


@pytest.mark.parametrize("error", [ValueError("why"), OSError(28, "No space left", "/a/b")])
def test_other_errors_are_bugs(error):
    assert describe_failure(error) is None
