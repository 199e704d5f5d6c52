"""The flow ``prune``, and the work of the command: remove old rejected sets and unused replies, or do a dry run."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Annotated
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled, Completed
from pydantic import Field

from engine.errors import ExemplarsError, ModelBusyError, StoreError
from engine.llm.replies.admin import list_prunable, remove_plans
from engine.settings import Settings
from engine.store.garbage import list_old_sets, remove_old_set
from engine.store.proposals import read_deadline, reject_proposal
from engine.store.store import StoredSet, list_in_pool, list_pools
from engine.text.formatting import count_noun
from flows.review.waiting import end_suspended
from flows.run.lease.slot import lock_model
from flows.run.page.artifacts import show_page
from flows.run.run_events import attending_flow
from flows.run.set_events import emit_written

EXPIRED = "nobody reviewed it in time"
Report = Callable[[str], None]
Days = Annotated[int, Field(ge=1, le=36_500)]
# Maximum number of lines on the run page; the log of the run's process has all lines.
SHOWN_LINES = 200


@dataclass(slots=True)
class Pruned:
    """Numbers of removed items or, in a dry run, of items to remove.

    ``busy`` lists models that keep their sets for now because a run works on them. ``failed`` has a sentence for each
    item that could not be removed.
    """

    dry_run: bool
    proposals: int = 0
    sets: int = 0
    sets_bytes: int = 0
    plans: int = 0
    plans_bytes: int = 0
    busy: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Return the totals as a sentence."""
        verb = "Would be removed" if self.dry_run else "Removed"
        sets, plans = count_noun(self.sets, "rejected or unfinished set"), count_noun(self.plans, "plan")
        proposals = f"{count_noun(self.proposals, 'proposal')} rejected, " if self.proposals else ""
        sizes = [f"({size / 1e6:.1f} MB)" for size in (self.sets_bytes, self.plans_bytes)]
        return f"{verb}: {proposals}{sets} {sizes[0]}, kept replies of {plans} {sizes[1]}"


@flow(name="prune", flow_run_name="prune")
async def prune(dry_run: bool = True, rejected_days: Days = 30) -> State[None]:
    """Remove old rejected sets and replies of unused plans. An attached set is never removed.

    Args:
        dry_run: Only list the items that would be removed. The run page has the list.
        rejected_days: Rejected sets, and files of dead runs in the sample store, are removed when they are this many
            days old. Attached and detached sets always stay.
    """
    lines: list[str] = []
    logger = get_run_logger()

    def note(line: str) -> None:
        lines.append(line)
        # There may be a hundred thousand lines, too many to send to Prefect's server.
        logger.info("%s", line, extra={"send_to_api": False})

    async with attending_flow() as settings:
        pruned = await asyncio.to_thread(prune_all, settings, rejected_days, datetime.now(UTC), dry_run, note)
    logger.info("%s", pruned.describe())
    await show_page(str(flow_run.get_id()), "pruned", write_page(pruned, lines), pruned.describe())
    if pruned.failed:
        raise StoreError("Some things could not be removed. Run it again to retry.\n" + "\n".join(pruned.failed))
    return Completed(message=pruned.describe(), data=None)


def prune_all(settings: Settings, rejected_days: int, now: datetime, dry_run: bool, report: Report) -> Pruned:
    """Prune sets and replies, each even if another fails, and call ``report`` with a line for each thing removed."""
    pruned = Pruned(dry_run)
    for step in (_expire_proposals, partial(_prune_sets, rejected_days), _prune_replies):
        try:
            step(settings, now, pruned, report)
        except ExemplarsError as error:
            pruned.failed.append(str(error))
    return pruned


def write_page(pruned: Pruned, lines: list[str]) -> str:
    """Return the markdown of the run page: the totals, the failures, and the first lines."""
    # Imported here: the command has no page, and starts sooner without it.
    from engine.report.run_page import escape

    lines = [*pruned.failed, *lines]
    head = "# Dry run: nothing was removed" if pruned.dry_run else "# Pruned"
    shown = "\n".join(f"- {escape(line)}" for line in lines[:SHOWN_LINES]) or "Nothing is old enough."
    if len(lines) > SHOWN_LINES:
        shown += f"\n\nAnd {len(lines) - SHOWN_LINES} more, which are in the log of the run's process."
    return f"{head}\n\n{pruned.describe()}.\n\n{shown}"


def _expire_proposals(settings: Settings, now: datetime, pruned: Pruned, report: Report) -> None:
    pools = list_pools(settings.samples_uri)
    waiting = (stored for pool in pools for stored in list_in_pool(pool, ["proposed"]))
    for stored in (stored for stored in waiting if read_deadline(stored) <= now):
        locking = partial(lock_model, stored.handle, "Its proposal still waits")
        with _noting_failure(stored.handle, pruned, report), nullcontext() if pruned.dry_run else locking():
            if pruned.dry_run or _reject_expired(stored):
                pruned.proposals += 1
                report(f"proposal of {stored.handle}, run {stored.run_id}: {EXPIRED}")


def _prune_sets(rejected_days: int, settings: Settings, now: datetime, pruned: Pruned, report: Report) -> None:
    old_sets = list_old_sets(settings.samples_uri, now - timedelta(days=rejected_days))
    for handle, sets in groupby(old_sets, lambda old: old.handle):
        locking = partial(lock_model, handle, "Its rejected sets stay")
        with _noting_failure(handle, pruned, report), nullcontext() if pruned.dry_run else locking():
            for old in sets:
                if pruned.dry_run or remove_old_set(old):
                    pruned.sets += 1
                    pruned.sets_bytes += old.bytes
                    age = f"written {old.written_at:%Y-%m-%d}, {old.bytes:,} bytes"
                    report(f"{old.kind} set of {handle}, run {old.run_id}: {age}")


def _prune_replies(settings: Settings, now: datetime, pruned: Pruned, report: Report) -> None:
    database, max_days = settings.replies_place, settings.cache_max_days
    plans = list_prunable(database, max_days, settings.cache_max_gb, now)
    if not pruned.dry_run:
        plans = remove_plans(database, plans, now - timedelta(days=max_days))
    for plan in plans:
        days = count_noun((now - plan.used_at).days, "day")
        report(f"kept replies of {plan.handle or 'an unknown model'}, plan {plan.plan_id}: unused for {days}")
    pruned.plans, pruned.plans_bytes = len(plans), sum(plan.bytes for plan in plans)


def _reject_expired(stored: StoredSet) -> bool:
    """Reject a proposal, and set its suspended run to Cancelled. The caller must hold the model's lock.

    Returns False if the proposal no longer waits, or somebody has decided on it and its run continues.

    Raises:
        StoreError: the store cannot be read or written; the proposal then still waits.
    """
    with get_client(sync_client=True) if PREFECT_API_URL.value() else nullcontext() as client:
        # A run that Prefect does not know has ended.
        with suppress(ObjectNotFound, ValueError):
            state = client.read_flow_run(UUID(stored.run_id)).state if client else None
            if state is not None and not state.is_final() and state.type is not StateType.PAUSED:
                return False
        rejected = reject_proposal(stored, EXPIRED, False)
        emit_written(rejected)
        if client is not None and rejected.written:
            message = f"The proposal was rejected: {EXPIRED}. Nothing was attached"
            end_suspended(client, stored.run_id, Cancelled(message=message))
    return rejected.written


@contextmanager
def _noting_failure(handle: str, pruned: Pruned, report: Report) -> Iterator[None]:
    """Record a failure inside the block in ``pruned``, so that the remaining models are still processed."""
    try:
        yield
    except ModelBusyError as error:
        pruned.busy.append(handle)
        report(str(error))
    except StoreError as error:
        pruned.failed.append(str(error))
