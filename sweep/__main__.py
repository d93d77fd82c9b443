"""The command `sweep`."""

import atexit
import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

# An error of standard output has one of these codes and names no file.
_OUTPUT_FAILS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error that a user can cause prints a line or two.

    `arguments` follow the program's name; by default they are the process's own.
    """
    try:
        from sweep.cli import app
        from sweep.driver.signals import Interrupted, interruptible
        from sweep.errors import describe_failure
        from sweep.screen.output import say
    except KeyboardInterrupt:
        sys.exit(130)

    _repair_streams()
    # It warns about a read-only home folder, but works without one.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        with interruptible():
            try:
                app(arguments, prog_name="sweep")
            finally:
                sys.stdout.flush()
    except Interrupted as interrupted:
        sys.exit(interrupted.exit_code)
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_FAILS:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if error.errno != errno.EPIPE:  # a reader that has gone, as `head` does
                print(f"error: cannot write the output: {error.strerror}", file=sys.stderr)
            sys.exit(1)  # as click does
        failure = describe_failure(error)
        if failure is None:
            raise
        message, exit_code = failure
        say(f"error: {message}")
        sys.exit(exit_code)
    finally:
        # A second Ctrl-C must not interrupt what is cleaned up as the process ends.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _repair_streams() -> None:
    """Make the standard streams accept everything: closed ones, and those not in UTF-8."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest free number is what a file gets
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    # `python -m` adds the current folder. A network that imports a file from it would work in no
    # other folder: it is refused, as by the command `sweep`.
    if not sys.flags.safe_path and sys.path[0] != str(Path(__file__).parents[1]):
        del sys.path[0]
    main()
