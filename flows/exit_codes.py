"""Run a typer app and turn its errors into one message on stderr and an exit code, for all commands."""

import io
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any, TextIO

import typer
from pydantic_core import PydanticSerializationError, SchemaError

from engine.errors import ExemplarsError, GateError, RunInterruptedError
from engine.text.formatting import show_controls


def run_app(app: typer.Typer, arguments: Sequence[str] | None, typed: str) -> int:
    """Run a command and return its exit code. An error is printed as ``report_error`` does.

    Args:
        arguments: the command line; None takes the process's command line.
        typed: the words that start the command, for the hint after a mistyped one. With the command line they are the
            ``obj`` of the command's context, for messages that say what to type.
    """
    guard_output()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        code = app(args=given, obj=shlex.join([*typed.split(), *given]), standalone_mode=False)
    except SystemExit as ended:
        # When nobody reads the output any more, typer ends with 1, which is our code for a failed gate.
        if ended.code == GateError.exit_code:
            return ExemplarsError.exit_code
        raise
    except Exception as error:
        if isinstance(error, PydanticSerializationError | SchemaError) and "KeyboardInterrupt" in str(error):
            # Pydantic turns an interrupt during its work into such an error, without the cause.
            code = RunInterruptedError.exit_code
        elif type(error).__module__.startswith(("click", "typer")) and hasattr(error, "format_message"):
            if message := error.format_message().rstrip("."):
                print(f"exemplars: {message}. '{typed} --help' shows the commands", file=sys.stderr)
            return 2
        else:
            return report_error(error)
    # typer ends with this exit code when it is interrupted outside a run.
    if code == RunInterruptedError.exit_code:
        # From here on, a second signal would kill the process.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("exemplars: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def report_error(error: Exception) -> int:
    """Print an error as one message, after its traceback if it is not one of our errors, and return the exit code.

    Python's own code for an uncaught exception is 1, which is our code for a failed gate.
    """
    if isinstance(error, ExemplarsError):
        print(f"exemplars: {error}", file=sys.stderr)
        return error.exit_code
    traceback.print_exception(error)
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    print(
        f"exemplars: unexpected error, perhaps a mistake in the program: {reason}. Replies so far are kept. Run the "
        "command again; if it fails in the same way, report it with the traceback above",
        file=sys.stderr,
    )
    return ExemplarsError.exit_code


def guard_output() -> None:
    """Make stdout and stderr escape control characters, and characters missing in their encoding (``\\u001b``)."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="backslashreplace")
        if stream is not None and not isinstance(stream, _Guarded):
            setattr(sys, name, _Guarded(stream))


class _Guarded:
    """A stream that writes no control characters. rich, which needs them for colours, uses the stream behind it."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(show_controls(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)
