"""The resources that the runs of a backfill share in one process, so that each costs little."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import partial

from prefect.runtime import flow_run

from engine.backfills.targets import BackfillRequest, find_skip_reason
from engine.errors import SharedBudgetError
from engine.llm.gateway.budget import Budget
from engine.llm.gateway.model_gateway import SharedModels
from engine.llm.replies.changes import SharedLimit
from engine.settings import Settings
from engine.system.worker_process import WorkerProcess
from expectations.checking import warm_up
from flows.observability.logs import Logger
from flows.run.own_worker import OWN_WORKER
from flows.run.resources import SHARED, RunResources, open_run_resources

SPARE_THREADS = 16
# The tag of a run that is a part of another backfill.
PART = "part"


@asynccontextmanager
async def open_backfill_resources(
    settings: Settings, request: BackfillRequest, budget: Budget | None, logger: Logger
) -> AsyncIterator[RunResources]:
    """Opens what all runs of the backfill use, for as long as the block runs.

    Args:
        budget: what all runs may spend together; None where nothing bounds it.
    """
    # Each run may wait a minute for its lease in a thread, and must keep no other from giving its own back.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2 * request.models_at_once + SPARE_THREADS))
    calls_at_once = settings.concurrency * request.models_at_once
    with ExitStack() as opened:
        run_heavy = OWN_WORKER.get() or opened.enter_context(WorkerProcess(logger.warning, warm_up)).run
        shared = opened.enter_context(SharedModels(calls_at_once, settings.patience_seconds, budget, logger.warning))
        async with open_run_resources(
            settings,
            logger,
            run_heavy,
            shared=shared,
            find_skip_reason=partial(find_skip_reason, settings, request),
        ) as resources:
            token = SHARED.set(resources)
            try:
                yield resources
            finally:
                SHARED.reset(token)


def make_shared_budget(settings: Settings, max_cost_usd: float | None, spent_usd: float) -> Budget | None:
    """What a backfill may spend; an earlier start of the same run has spent ``spent_usd`` of it.

    Where all machines keep their replies in one database, the limit stands there, for a backfill and all of its parts.
    """
    if max_cost_usd is None:
        return None
    whole = flow_run.get_parent_flow_run_id() if PART in flow_run.get_tags() else flow_run.get_id()
    limit = SharedLimit(f"backfill {whole}", max_cost_usd) if settings.replies_place.is_shared else None
    budget = Budget(max_cost_usd, partial(_refuse, max_cost_usd), limit)
    budget.spend(spent_usd)
    return budget


def _refuse(max_cost_usd: float, bound_usd: float) -> SharedBudgetError:
    return SharedBudgetError(
        f"The backfill's limit of ${max_cost_usd:g} is reached: what is left is less than the ${bound_usd:.4f} that "
        "the next call could cost. Start it again with a higher limit: it does only what is left, and the "
        "replies are kept and not paid twice"
    )
