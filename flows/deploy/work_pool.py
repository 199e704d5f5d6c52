"""The work pool and its queues: who comes first, and how much of the workers those have whom nobody waits for."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.process import ProcessWorker

from engine.errors import OrchestratorError

POOL = "exemplars"
PROCESS = ProcessWorker.type
# Where each run has a container of its own, made from an image that has the code.
CONTAINERS = ("docker", "kubernetes")


@dataclass(frozen=True, slots=True)
class Queue:
    """``priority`` 1 is the highest; ``limit`` is how many runs of the queue go on at once, on all workers together."""

    name: str
    description: str
    priority: int
    limit: int | None = None


# The limits together are less than what the worker of make serve takes at once (flows/serve/services.py): it has room
# for a run that somebody waits for. Priority 2 is left to the pool's own queue, which runs are in that name none.
QUEUES = (
    Queue("interactive", "Runs that somebody waits for: synthesize/on-demand, and what the HTTP door asks for.", 1),
    Queue("backfill", "Runs that nobody waits for: backfills, nightly runs, retention.", 3, limit=3),
    Queue("parts", "Parts of backfills that are handed out to whichever workers are free.", 4, limit=3),
)


def ensure_pool(client: SyncPrefectClient) -> tuple[WorkPool, str]:
    """The work pool, and whether it was ``made`` or ``there``. One of processes is made where there is none.

    Raises:
        OrchestratorError: there is one of a type that nothing is known of here.
    """
    try:
        pool, how = client.read_work_pool(POOL), "there"
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type=PROCESS, base_job_template=template))
        pool, how = client.read_work_pool(POOL), "made"
    if pool.type not in (PROCESS, *CONTAINERS):
        known = ", ".join((PROCESS, *CONTAINERS))
        raise OrchestratorError(
            f"The work pool {POOL} is of the type {pool.type}; known are {known}. Delete it, then one of the type "
            f"{PROCESS} is made: prefect work-pool delete {POOL}"
        )
    return pool, how


def ensure_queues(client: SyncPrefectClient) -> Mapping[str, str]:
    """What became of each queue: ``made``, ``changed`` or ``there``.

    Priority and limit are set once: from then on they are the operator's, who knows how many workers there are.
    """
    return {queue.name: _ensure_queue(client, queue) for queue in QUEUES}


def _ensure_queue(client: SyncPrefectClient, queue: Queue) -> str:
    try:
        found = client.read_work_queue_by_name(queue.name, work_pool_name=POOL)
    except ObjectNotFound:
        # Somebody else may deploy at the same moment.
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_queue(queue.name, queue.description, None, queue.limit, queue.priority, POOL)
        return "made"
    # A bare `prefect deploy` makes queues of the names that it meets, with no word about them and without a limit.
    if found.description == queue.description:
        return "there"
    wanted = {"description": queue.description, "priority": queue.priority, "concurrency_limit": queue.limit}
    client.request("PATCH", f"/work_pools/{POOL}/queues/{queue.name}", json=wanted)  # type: ignore[arg-type]
    return "changed"
