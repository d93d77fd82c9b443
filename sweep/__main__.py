"""The command `sweep`."""

import logging
import os
import sys


def main() -> None:
    """Runs the command line; a user's mistake ends in a line or two, never in a traceback."""
    from sweep.commands import app
    from sweep.commands.failures import describe_failure

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


if __name__ == "__main__":
    main()
