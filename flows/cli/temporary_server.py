"""Starts a temporary Prefect server for a run if none is configured.

Prefect's own temporary server outlives a parent that is killed; this one does not. It starts before anything slow is
imported here, Prefect too, and its end is not waited for: it ends by itself, ``STOP_SECONDS`` after this process.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import OrchestratorError
from engine.system.child_process import ChildServer, ChildServerError

PROCESS = Path(__file__).with_name("temporary_server_process.py")
# The first start makes the database; on busy cores that takes longer than Prefect's own 20 seconds.
START_SECONDS = 180.0
DRAIN_SECONDS = 3.0
HEALTH_SECONDS = 10.0


@contextmanager
def starting_server() -> Iterator[ChildServer | None]:
    """Has a temporary server start beside the block; None where the environment names a server.

    One that a profile of Prefect's names is known only once Prefect is imported; then the process ends by itself.
    """
    if _find_url():
        yield None
        return
    server = ChildServer([sys.executable, str(PROCESS), "--unless-configured"], _list_variables())
    try:
        yield server
    finally:
        server.leave()


@contextmanager
def ensure_server(server: ChildServer | None) -> Iterator[None]:
    """Provides a Prefect server while the block runs: the configured one, or else the temporary one.

    Args:
        server: what ``starting_server`` has started.

    Raises:
        OrchestratorError: the configured server does not answer, or the temporary one does not start.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if url := PREFECT_API_URL.value():
        _check_health(url)
        yield
        return
    server = server or ChildServer([sys.executable, str(PROCESS)], _list_variables())
    try:
        try:
            address = server.wait_for_address(START_SECONDS)
        except ChildServerError as error:
            raise OrchestratorError(
                f"Prefect's temporary server did not start: {error}. Check that PREFECT_HOME (else ~/.prefect) can be "
                "written, or set PREFECT_API_URL to use a running server"
            ) from error
        with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
            try:
                yield
            finally:
                _flush_logs_and_events()
    finally:
        server.leave()


def _find_url() -> str | None:
    """The configured server, as far as it is known without importing Prefect."""
    if "prefect" not in sys.modules:
        return os.environ.get("PREFECT_API_URL")
    from prefect.settings import PREFECT_API_URL

    url: str | None = PREFECT_API_URL.value()
    return url


def _list_variables() -> dict[str, str]:
    """The environment of the server: ours, with the settings of Prefect that were changed in this process."""
    if "prefect" not in sys.modules:
        return dict(os.environ)
    from prefect.settings import get_current_settings

    return {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}


def _check_health(url: str) -> None:
    import httpx

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
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=DRAIN_SECONDS, at_exit=False)
