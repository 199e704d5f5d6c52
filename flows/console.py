"""The console of a run: what it prints goes to its worker, which may be gone before it is."""

import logging
from functools import partial

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console


def outlive_listeners() -> None:
    """Lets this process go on when nobody reads any more what it prints: a worker that is killed closes the pipe.

    rich would end whichever thread prints next, the one that renews the lease silently, the main one with the run.
    """
    for name in (None, *logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, PrefectConsoleHandler):
                handler.console.on_broken_pipe = partial(_fall_silent, handler.console)  # type: ignore[method-assign]


def _fall_silent(console: Console) -> None:
    console.quiet = True
