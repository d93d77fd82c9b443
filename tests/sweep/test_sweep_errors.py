import pytest

from sweep.errors import ClusterError, NoTrialError, SweepError, UsageError


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(UsageError, 2), (ClusterError, 4), (NoTrialError, 5)],
)
def test_errors_have_the_exit_code_they_end_in(error, exit_code):
    assert issubclass(error, SweepError)
    assert error("text").exit_code == exit_code
