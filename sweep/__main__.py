"""The command `sweep`."""

import io
import logging
import os
import sys


def main() -> None:
    """Runs the command line; a user's mistake ends in a line or two, never in a traceback."""
    from sweep.cli import app
    from sweep.cli.failures import describe_failure

    _mend_streams()
    # It warns of a home that cannot be written, and does without.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        try:
            app()
        finally:
            print(end="", flush=True)
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)  # as click has it for longer outputs
    except Exception as error:
        failure = describe_failure(error)
        if failure is None:
            raise
        print(f"error: {failure.message}", file=sys.stderr)
        sys.exit(failure.exit_code)


def _mend_streams() -> None:
    """Makes the standard streams take whatever is printed: closed ones, and those not in UTF-8."""
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
    main()
