"""The Prefect server of a run that has none: Prefect's own temporary one survives a killed parent, this does not."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from engine.errors import OrchestratorError
from engine.system.child_process import ChildServerError, run_child_server

PROCESS = Path(__file__).with_name("temporary_server_process.py")
# The first start makes the database; on busy cores that takes longer than Prefect's own 20 seconds.
START_SECONDS = 180.0
DRAIN_SECONDS = 3.0
HEALTH_SECONDS = 10.0


@contextmanager
def ensure_server() -> Iterator[None]:
    """Inside the block there is a Prefect server: the one that is configured, else a temporary one.

    Raises:
        OrchestratorError: the configured one does not answer, or the temporary one does not come up.
    """
    if url := PREFECT_API_URL.value():
        _check_health(url)
        yield
        return
    environment = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
    try:
        with (
            run_child_server([sys.executable, str(PROCESS)], environment, START_SECONDS) as address,
            temporary_settings({PREFECT_API_URL: f"{address}/api"}),
        ):
            try:
                yield
            finally:
                _send_what_waits()
    except ChildServerError as error:
        raise OrchestratorError(
            f"Prefect's temporary server did not come up: {error}. Is PREFECT_HOME (else ~/.prefect) a folder that can "
            "be written? With PREFECT_API_URL a running server is used"
        ) from error


def _check_health(url: str) -> None:
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=HEALTH_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        raise OrchestratorError(
            f"The Prefect server at {url} does not answer: {error}. Start it, or unset PREFECT_API_URL: then the run "
            "brings a temporary one"
        ) from error


def _send_what_waits() -> None:
    """Sends the logs and events that Prefect still holds while there is a server to send them to.

    Prefect does so when the interpreter ends; by then the server is gone, and it tries for 70 seconds.
    """
    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=DRAIN_SECONDS, at_exit=False)
