"""Runs a flow inside the command's own process, ends it once whatever signals come, and keeps the libraries quiet."""

import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from engine.errors import ModelBusyError, RunInterruptedError
from engine.system.child_process import SIGNALS
from engine.system.importing import importing

if TYPE_CHECKING:
    from engine.domain.verdict import RunResult
    from engine.system.child_process import ChildServer


def run_flow(
    handle: str,
    synth_type: str,
    effort: str | None,
    server: "ChildServer | None",
    only_lacking: bool = False,
    review: bool = False,
    strict: bool = False,
) -> "RunResult":
    """Runs the main job to its end; see ``run_in_process``."""
    asked: dict[str, object] = {"handle": handle, "synth_type": synth_type, "effort": effort}
    asked |= {"only_lacking": only_lacking, "review": review, "strict": strict}
    result: RunResult = run_in_process("flows.synthesize:synthesize", asked, server)
    return result


def run_in_process(name: str, parameters: Mapping[str, Any], server: "ChildServer | None") -> Any:
    """Runs the flow ``<module>:<name>`` to its end, on the configured Prefect server or else a temporary one.

    Args:
        server: what ``starting_server`` has started.

    Raises:
        ModelBusyError: another run works on the model.
        RunInterruptedError: the run was interrupted or cancelled.
    """
    with ending_once() as run_to_its_end:
        with importing():
            from prefect import flow_engine
            from prefect.exceptions import Abort, CancelledRun

            from flows.cli.temporary_server import ensure_server

            # Prefect would take SIGTERM, and have each one raise an error wherever the run is.
            setattr(flow_engine, "capture_sigterm", nullcontext)  # noqa: B010 (not exported, says mypy)
            module, _, flow = name.partition(":")
            run: Any = getattr(importlib.import_module(module), flow)
            if server is not None:
                # Which the run needs, and the server takes as long to start.
                from engine.llm.client.litellm_client import import_litellm
                from engine.text.language import load_identifier

                import_litellm()
                load_identifier()
        with ensure_server(server):
            try:
                return run_to_its_end(run(**parameters))
            except CancelledRun as error:
                raise ModelBusyError(str(error)) from error
            except Abort as error:
                raise RunInterruptedError(str(error)) from error


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
    defaults = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
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
