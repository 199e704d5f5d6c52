"""How each command of the project ends: results on stdout, one message on stderr, and the exit code of its error."""

import signal
import sys
from collections.abc import Sequence

import typer

from engine.errors import ExemplarsError, RunInterruptedError


def run_app(app: typer.Typer, arguments: Sequence[str] | None, typed: str) -> int:
    """Runs a command; the exit code is the error's. Each error of ours is one message without a traceback.

    Args:
        arguments: None takes those of the process.
        typed: What a person types to start it, for the hint after a mistyped command.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(args=list(sys.argv[1:] if arguments is None else arguments), standalone_mode=False)
    except ExemplarsError as error:
        print(f"exemplars: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if type(error).__module__.startswith(("click", "typer")) and hasattr(error, "format_message"):
            if said := error.format_message().rstrip("."):
                print(f"exemplars: {said}. '{typed} --help' shows the commands", file=sys.stderr)
            return 2
        raise
    # typer turns an interrupt outside of a run into this exit code.
    if code == RunInterruptedError.exit_code:
        print("exemplars: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0
