"""Runs a flow inside the command's own process, on a Prefect server, and ends it once whatever signals come.

Where none is configured a temporary server is started. Prefect's own outlives a parent that is killed; this one does
not. It starts before anything slow is imported here, and ends by itself, ``STOP_SECONDS`` after this process.
"""

import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from engine.errors import ModelBusyError, OrchestratorError, RunInterruptedError
from engine.system.child_process import SIGNALS, ChildServer, ChildServerError
from engine.system.importing import importing

MAIN_JOB = "flows.synthesize:synthesize"
SERVER_PROCESS = Path(__file__).with_name("server_process.py")
# The first start makes the database; on busy cores that takes longer than Prefect's own 20 seconds.
START_SECONDS = 180.0
DRAIN_SECONDS = 3.0
HEALTH_SECONDS = 10.0


@contextmanager
def starting_server() -> Iterator[ChildServer | None]:
    """Has a temporary server start beside the block; None where a server is configured.

    One that a profile of Prefect's names is known only once Prefect is imported; then the process ends by itself.
    """
    url = os.environ.get("PREFECT_API_URL")
    if "prefect" in sys.modules:
        from prefect.settings import PREFECT_API_URL

        url = PREFECT_API_URL.value()
    if url:
        yield None
        return
    server = ChildServer([sys.executable, str(SERVER_PROCESS)], os.environ)
    try:
        yield server
    finally:
        server.leave()


def run_in_process(name: str, parameters: Mapping[str, Any], server: ChildServer | None) -> Any:
    """Runs the flow ``<module>:<name>`` to its end, on the configured Prefect server or else the temporary one.

    Args:
        server: what ``starting_server`` has started.

    Raises:
        ModelBusyError: another run works on the model.
        OrchestratorError: the configured server does not answer, or the temporary one does not start.
        RunInterruptedError: the run was interrupted or cancelled.
    """
    with ending_once() as run_to_its_end:
        with importing():
            from prefect import flow_engine
            from prefect.exceptions import Abort, CancelledRun

            # Prefect would take SIGTERM, and have each one raise an error wherever the run is.
            setattr(flow_engine, "capture_sigterm", nullcontext)  # noqa: B010 (not exported, says mypy)
            module, _, flow = name.partition(":")
            run: Any = getattr(importlib.import_module(module), flow)
            if server is not None:
                # Which the run needs, and the server takes as long to start.
                from engine.llm.client.litellm_client import import_litellm

                import_litellm()
        with ensure_server(server):
            try:
                return run_to_its_end(run(**parameters))
            except CancelledRun as error:
                raise ModelBusyError(str(error)) from error
            except Abort as error:
                raise RunInterruptedError(str(error)) from error


@contextmanager
def ensure_server(server: ChildServer | None) -> Iterator[None]:
    """Has Prefect's client ask the configured server inside the block, or else the temporary one."""
    import httpx
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    url = PREFECT_API_URL.value()
    if server is None or url:
        try:
            httpx.get(f"{str(url).rstrip('/')}/health", timeout=HEALTH_SECONDS).raise_for_status()
        except httpx.HTTPError as error:
            raise OrchestratorError(
                f"The Prefect server at {url} does not answer: {error}. Start it, or unset PREFECT_API_URL: the run "
                "then starts a temporary one"
            ) from error
        yield
        return
    try:
        address = server.wait_for_address(START_SECONDS)
    except ChildServerError as error:
        raise OrchestratorError(
            f"Prefect's temporary server did not start: {error}\nCheck that PREFECT_HOME (else ~/.prefect) is a folder "
            "that can be written, with no '%' in its path, or set PREFECT_API_URL to use a running server"
        ) from error
    with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
        try:
            yield
        finally:
            # Prefect sends logs and events when the interpreter ends: the server is gone then, and it retries for 70 s.
            for worker in (APILogWorker, EventsWorker):
                worker.drain_all(timeout=DRAIN_SECONDS, at_exit=False)


@contextmanager
def ending_once() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Has the first signal interrupt the block, and all later ones change nothing until the process has ended.

    The block is given what runs a coroutine, which is then cancelled and ends in its own order. A signal that is
    ignored already, as by nohup, stays so.

    Raises:
        RunInterruptedError: a signal came.
    """
    # It takes longer than all else that `exemplars --help` needs.
    import asyncio

    tasks: list[Any] = []

    def end(*_: object) -> None:
        for number in handlers:
            signal.signal(number, signal.SIG_IGN)
        if not tasks:
            raise KeyboardInterrupt
        # One that is done needs no end, and its loop may be closed.
        if not tasks[0].done():
            tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)

    async def follow(work: Coroutine[Any, Any, Any]) -> Any:
        tasks.append(asyncio.current_task())
        return await work

    handlers = {number: had for number in SIGNALS if (had := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in handlers:
        signal.signal(number, end)
    try:
        yield lambda work: asyncio.run(follow(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise RunInterruptedError(
            "interrupted. The replies so far are kept: the next start continues from them"
        ) from None
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is end:
                signal.signal(number, handler)


def quiet_libraries(verbose: bool, logs_json: bool = False) -> None:
    """Sets Prefect's variables that the user has not set: no analytics, a quiet console.

    Args:
        verbose: whether the console shows what Prefect and the libraries log.
        logs_json: whether the console shows JSON lines.
    """
    defaults = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    if not verbose:
        defaults |= {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL"}
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").setLevel(logging.ERROR)
    if logs_json:
        from flows.observability.json_logs import PREFECT_JSON_VARIABLES

        defaults |= PREFECT_JSON_VARIABLES
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if "prefect" in sys.modules:
        # `python -m flows.synthesize` has imported Prefect already, which set up its logging without these variables.
        from prefect.logging.configuration import setup_logging

        from flows.observability.logs import set_up_logs

        setup_logging()
        set_up_logs("json" if logs_json else "text")
