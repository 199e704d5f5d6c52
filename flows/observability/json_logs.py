"""Format log records as JSON lines. Prefect may load this module while it is itself being imported."""

import logging
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from engine.settings import LogFormat
from engine.system.concurrency import read_log_context
from engine.text.formatting import show_controls

# ``flow_run_id`` is written as ``run_id``, the project's only name for it. The other fields control handlers.
_LEFT_OUT = ("flow_run_id", "send_to_api", "event")


class JsonLines(JsonFormatter):
    """JSON formatter. Order: time (UTC, ISO 8601), level, logger, message, then the log context, then the extras."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "traceback"},
            timestamp="time",
            json_ensure_ascii=False,
        )

    def format(self, record: logging.LogRecord) -> str:
        """Return one line without control characters for a terminal."""
        return show_controls(super().format(record))

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Put the fields in order and drop empty ones."""
        head = {name: log_data.pop(name) for name in ("time", "level", "logger", "message")}
        # Prefect's lines have their own run id: the log context is set only when our code begins.
        run = {"run_id": log_data["flow_run_id"]} if "flow_run_id" in log_data else {}
        fields = {**head, **read_log_context(), **run, **log_data}
        return {name: value for name, value in fields.items() if value is not None and name not in _LEFT_OUT}


class JsonConsole(logging.StreamHandler[TextIO]):
    """Write JSON lines to stderr, in place of Prefect's console handler.

    The variables ``PREFECT_JSON_VARIABLES`` install it in Prefect's own processes, and in a run's process
    before the run begins.

    Args:
        look: Prefect's colours and styles, which are ignored.
    """

    def __init__(self, stream: TextIO | None = None, level: int | str = logging.NOTSET, **look: object) -> None:
        super().__init__(stream)
        self.setLevel(level)
        super().setFormatter(JsonLines())

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 (logging's name)
        """Ignore the plain-text formatter that Prefect's configuration gives to each handler."""


PREFECT_JSON_VARIABLES = {"PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": f"{__name__}.{JsonConsole.__qualname__}"}


class PlainLines(logging.Formatter):
    """Format like another formatter, but without control characters, and with further lines of a record indented.

    So no logged text can colour, hide or overwrite the output of a terminal, or look like a separate record.
    """

    def __init__(self, other: logging.Formatter | None) -> None:
        super().__init__()
        self._other = other or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return one record as text."""
        return show_controls(self._other.format(record)).replace("\n", "\n  ")


def choose_formatter(log_format: LogFormat) -> logging.Formatter:
    """Return the formatter for log lines that do not go through Prefect's handlers."""
    if log_format == "json":
        return JsonLines()
    return PlainLines(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
