"""Set up the logs of a process: the engine's log level, and plain text or JSON on the console."""

import logging
from functools import partial

from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import PREFECT_LOGGING_LEVEL

from engine.settings import LogFormat
from flows.observability.json_logs import JsonConsole, PlainLines

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]

# The engine's logger. With PREFECT_LOGGING_EXTRA_LOGGERS=exemplars its lines also go to the run page.
ENGINE_LOGGER = "exemplars"


def set_up_logs(log_format: LogFormat) -> None:
    """Set the engine's logger to Prefect's log level, and the console to plain text, or to JSON if configured.

    The logs that are sent to Prefect's server do not change. A second call has no effect.
    """
    logging.getLogger(ENGINE_LOGGER).setLevel(PREFECT_LOGGING_LEVEL.value())
    for logger, handler in _list_consoles():
        if log_format == "json":
            logger.removeHandler(handler)
            logger.addHandler(JsonConsole(handler.stream, handler.level))
        elif not isinstance(handler.formatter, PlainLines):
            handler.setFormatter(PlainLines(handler.formatter))


def ignore_closed_output() -> None:
    """Keep this process running when its output pipe closes, for example after a kill of its worker.

    Otherwise rich ends the thread that prints next: silently the one that renews the lease, or the main thread and
    with it the run.
    """
    for _, handler in _list_consoles():
        handler.console.on_broken_pipe = partial(setattr, handler.console, "quiet", True)  # type: ignore[method-assign]


def _list_consoles() -> list[tuple[logging.Logger, PrefectConsoleHandler]]:
    loggers = [logging.getLogger(name) for name in (None, *logging.root.manager.loggerDict)]
    return [
        (item, handler) for item in loggers for handler in item.handlers if isinstance(handler, PrefectConsoleHandler)
    ]
