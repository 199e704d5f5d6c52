"""Run a flow inside the command's own process, on a Prefect server, and end it once, however many signals come.

If no server is configured, a temporary server is started. Prefect's own temporary server outlives a killed parent; this
one does not. It starts before slow imports in this process, and ends by itself, ``STOP_SECONDS`` after this process.
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
# The first start creates the database. On busy cores that takes longer than Prefect's own limit of 20 seconds.
START_SECONDS = 180.0
DRAIN_SECONDS = 3.0
HEALTH_SECONDS = 10.0


@contextmanager
def starting_server() -> Iterator[ChildServer | None]:
    """Start a temporary server in parallel with the block; yield None if a server is configured.

    A server from a Prefect profile is known only once Prefect is imported; the temporary server then ends by itself.
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
    """Run the flow ``<module>:<name>`` to its end, on the configured Prefect server or else the temporary one.

    Args:
        server: the server that ``starting_server`` has started.

    Raises:
        ModelBusyError: another run works on the model.
        OrchestratorError: the configured server does not answer, or the temporary one does not start.
        RunInterruptedError: the run was interrupted or cancelled.
    """
    with ending_once() as run_to_its_end:
        with importing():
            from prefect import flow_engine
            from prefect.exceptions import Abort, CancelledRun

            # Otherwise Prefect handles SIGTERM, and each signal raises an error anywhere in the run.
            setattr(flow_engine, "capture_sigterm", nullcontext)  # noqa: B010 (not exported, says mypy)
            module, _, flow = name.partition(":")
            run: Any = getattr(importlib.import_module(module), flow)
            if server is not None:
                # The run needs litellm; its import takes as long as the server's start.
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
    """Make Prefect's client use the configured server during the block, or else the temporary one."""
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
            # Otherwise Prefect sends logs and events after the server has ended, and retries for 70 s.
            for worker in (APILogWorker, EventsWorker):
                worker.drain_all(timeout=DRAIN_SECONDS, at_exit=False)


@contextmanager
def ending_once() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Let the first signal interrupt the block, and ignore all later signals until the process ends.

    The block gets a function that runs a coroutine; the signal cancels the coroutine, which ends in its own order. A
    signal that is already ignored, as by nohup, stays ignored.

    Raises:
        RunInterruptedError: a signal came.
    """
    # Imported here: it takes longer than everything else that `exemplars --help` needs.
    import asyncio

    tasks: list[Any] = []

    def end(*_: object) -> None:
        for number in handlers:
            signal.signal(number, signal.SIG_IGN)
        if not tasks:
            raise KeyboardInterrupt
        # A finished task needs no cancel, and its loop may be closed.
        if not tasks[0].done():
            tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)

    async def follow(work: Coroutine[Any, Any, Any]) -> Any:
        tasks.append(asyncio.current_task())
        return await work

    handlers = {number: old for number in SIGNALS if (old := signal.getsignal(number)) is not signal.SIG_IGN}
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
    """Set Prefect's variables that the user has not set: no analytics, a quiet console.

    Args:
        verbose: show the logs of Prefect and the libraries on the console.
        logs_json: show JSON lines on the console.
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
        # `python -m flows.synthesize` has already imported Prefect, which set up its logging without these variables.
        from prefect.logging.configuration import setup_logging

        from flows.observability.logs import set_up_logs

        setup_logging()
        set_up_logs("json" if logs_json else "text")
