"""Starts a temporary Prefect server for a run if none is configured.

Prefect's own temporary server outlives a parent that is killed; this one does not.
"""

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
    """Provides a Prefect server while the block runs: the configured one, or else a temporary one.

    Raises:
        OrchestratorError: the configured server does not answer, or the temporary one does not start.
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
                _flush_logs_and_events()
    except ChildServerError as error:
        raise OrchestratorError(
            f"Prefect's temporary server did not start: {error}. Check that PREFECT_HOME (else ~/.prefect) can be "
            "written, or set PREFECT_API_URL to use a running server"
        ) from error


def _check_health(url: str) -> None:
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=HEALTH_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        raise OrchestratorError(
            f"The Prefect server at {url} does not answer: {error}. Start it, or unset PREFECT_API_URL: the run then "
            "starts a temporary one"
        ) from error


def _flush_logs_and_events() -> None:
    """Sends Prefect's queued logs and events while the server still runs.

    Prefect would send them when the interpreter ends, when the server is gone, and retry for 70 seconds.
    """
    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=DRAIN_SECONDS, at_exit=False)
