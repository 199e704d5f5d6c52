"""Set up the work pool and its queues: interactive runs first, and limits for runs that nobody waits for."""

import contextlib
from dataclasses import dataclass

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.process import ProcessWorker

from engine.errors import OrchestratorError

POOL = "exemplars"
PROCESS = ProcessWorker.type
# Pool types that run each flow run in its own container, from an image with the code.
CONTAINERS = ("docker", "kubernetes")


@dataclass(frozen=True, slots=True)
class Queue:
    """Queue of a work pool; ``priority`` 1 is the highest, ``limit`` the maximum of parallel runs on all workers."""

    name: str
    description: str
    priority: int
    limit: int | None = None


# The sum of the limits is below the number of simultaneous runs of make serve's worker (flows/serve.py), so that an
# interactive run always finds room. Priority 2 is left to the pool's default queue, for runs that name no queue.
QUEUES = (
    Queue("interactive", "Runs that somebody waits for: synthesize/on-demand, and what the HTTP API asks for.", 1),
    Queue("backfill", "Runs that nobody waits for: backfills, nightly runs, retention.", 3, limit=3),
    Queue("parts", "Parts of backfills that are handed out to whichever workers are free.", 4, limit=3),
)


def ensure_pool(client: SyncPrefectClient) -> WorkPool:
    """Return the work pool; if there is none, create a process pool.

    Raises:
        OrchestratorError: the pool has a type that this code does not support.
    """
    try:
        pool = client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type=PROCESS, base_job_template=template))
        pool = client.read_work_pool(POOL)
    if pool.type not in (PROCESS, *CONTAINERS):
        known = ", ".join((PROCESS, *CONTAINERS))
        raise OrchestratorError(
            f"The work pool {POOL} has the type {pool.type}, but only {known} are supported. Delete it with 'prefect "
            f"work-pool delete {POOL}': the next deploy makes one of the type {PROCESS}"
        )
    return pool


def ensure_queues(client: SyncPrefectClient) -> None:
    """Create the missing queues.

    Priority and limit are set only once: later the operator sets them, who knows the number of workers.
    """
    for queue in QUEUES:
        try:
            existing = client.read_work_queue_by_name(queue.name, work_pool_name=POOL)
        except ObjectNotFound:
            # Another deploy may run at the same moment.
            with contextlib.suppress(ObjectAlreadyExists):
                client.create_work_queue(queue.name, queue.description, None, queue.limit, queue.priority, POOL)
            continue
        # A bare `prefect deploy` creates the queues that it needs without a description and without a limit.
        if existing.description != queue.description:
            body = {"description": queue.description, "priority": queue.priority, "concurrency_limit": queue.limit}
            path = {"work_pool_name": POOL, "name": queue.name}
            client.request("PATCH", "/work_pools/{work_pool_name}/queues/{name}", path_params=path, json=body)
