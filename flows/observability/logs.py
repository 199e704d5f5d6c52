"""Logs: how the lines of a process of ours look, and which of them there are."""

import logging
from functools import partial

from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import PREFECT_LOGGING_LEVEL
from rich.console import Console

from engine.domain.progress import PROGRESS_LOGGER
from engine.settings import LogFormat
from flows.observability.json_logs import JsonConsole

# The engine's lines, which tell of calls and cells. PREFECT_LOGGING_EXTRA_LOGGERS=exemplars puts them on the run page.
ENGINE_LOGGER = "exemplars"


def set_up_logs(log_format: LogFormat) -> None:
    """Shows the engine's lines from Prefect's log level on, and puts JSON in the place of text where that is wanted.

    What goes to Prefect's server stays as it is. A second call changes nothing.
    """
    logging.getLogger(ENGINE_LOGGER).setLevel(PREFECT_LOGGING_LEVEL.value())
    # Its records are events for who listens, and no lines.
    logging.getLogger(PROGRESS_LOGGER).propagate = False
    if log_format == "json":
        for name in (None, *logging.root.manager.loggerDict):
            _speak_json(logging.getLogger(name))


def outlive_listeners() -> None:
    """Lets this process go on when nobody reads any more what it prints: a worker that is killed closes the pipe.

    rich would end whichever thread prints next, the one that renews the lease silently, the main one with the run.
    """
    for name in (None, *logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, PrefectConsoleHandler):
                handler.console.on_broken_pipe = partial(_fall_silent, handler.console)  # type: ignore[method-assign]


def _speak_json(logger: logging.Logger) -> None:
    for handler in list(logger.handlers):
        if isinstance(handler, PrefectConsoleHandler):
            logger.removeHandler(handler)
            logger.addHandler(JsonConsole(handler.stream, handler.level))


def _fall_silent(console: Console) -> None:
    console.quiet = True
