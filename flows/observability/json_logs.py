"""JSON lines: a log record as one JSON object on one line. Prefect may load this while it is itself being imported."""

import logging
from typing import Any, TextIO

from pythonjsonlogger.json import JsonFormatter

from engine.settings import LogFormat
from engine.system.log_context import read_log_context

# The first is said as ``run_id``, the project's one word for it; the others are for handlers.
_LEFT_OUT = ("flow_run_id", "send_to_api", "event")


class JsonLines(JsonFormatter):
    """Time (UTC, ISO 8601), level, logger, message; then what the line is about; then what it says besides."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "traceback"},
            timestamp="time",
            json_ensure_ascii=False,
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """The fields in their order, without the empty ones."""
        head = {name: log_data.pop(name) for name in ("time", "level", "logger", "message")}
        # A line of Prefect's says itself whose it is: a run that has only begun is not what is worked on as yet.
        own = {"run_id": log_data["flow_run_id"]} if "flow_run_id" in log_data else {}
        fields = {**head, **read_log_context(), **own, **log_data}
        return {name: value for name, value in fields.items() if value is not None and name not in _LEFT_OUT}


class JsonConsole(logging.StreamHandler[TextIO]):
    """Writes JSON lines to stderr, where Prefect's console handler writes for people.

    The variables ``IN_PREFECT`` put it there in a process of Prefect's own, and in a run's before it has begun.

    Args:
        look: what Prefect says of colours and styles, which JSON has none of.
    """

    def __init__(self, stream: TextIO | None = None, level: int | str = logging.NOTSET, **look: object) -> None:
        super().__init__(stream)
        self.setLevel(level)
        super().setFormatter(JsonLines())

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802
        """Keeps its own: Prefect's configuration gives each handler one for people."""


IN_PREFECT = {"PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": f"{__name__}.{JsonConsole.__qualname__}"}


def choose_formatter(log_format: LogFormat) -> logging.Formatter:
    """The formatter of lines that do not go through Prefect's handlers."""
    return JsonLines() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
