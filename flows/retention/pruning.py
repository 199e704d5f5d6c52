"""Prunes the sample store and the kept replies: removes what is old and no longer needed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled

from engine.errors import ExemplarsError, ModelBusyError, StoreError
from engine.llm.replies.admin import list_prunable, prune_cache
from engine.settings import Settings
from engine.store.leftovers import list_old_sets, remove_old_set
from engine.store.proposals import list_expired, reject_proposal
from engine.store.sample_set import read_manifest
from engine.store.store import StoredSet
from engine.text.formatting import count_noun
from flows.run.lease.slot import keep_runs_out
from flows.run.set_events import emit_written

EXPIRED = "nobody reviewed it in time"
Report = Callable[[str], None]


@dataclass(slots=True)
class Pruned:
    """What was removed or, in a dry run, would be.

    ``busy`` lists models whose sets stay for now because a run works on them. ``failed`` has a sentence for each thing
    that could not be removed.
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
        """The totals in a sentence."""
        gone = "Would be removed" if self.dry_run else "Removed"
        sets, plans = count_noun(self.sets, "rejected or unfinished set"), count_noun(self.plans, "plan")
        proposals = f"{count_noun(self.proposals, 'proposal')} rejected, " if self.proposals else ""
        sizes = [f"({size / 1e6:.1f} MB)" for size in (self.sets_bytes, self.plans_bytes)]
        return f"{gone}: {proposals}{sets} {sizes[0]}, kept replies of {plans} {sizes[1]}"


def prune_all(settings: Settings, rejected_days: int, now: datetime, dry_run: bool, report: Report) -> Pruned:
    """Prunes sets and replies, each even if another fails; calls ``report`` with a line for each thing removed.

    Args:
        rejected_days: the age from which a rejected set is removed, since it was written.
    """
    pruned = Pruned(dry_run)
    for prune in (_expire_proposals, partial(_prune_sets, rejected_days), _prune_replies):
        try:
            prune(settings, now, pruned, report)
        except ExemplarsError as error:
            pruned.failed.append(str(error))
    return pruned


def end_suspended(client: SyncPrefectClient, run_id: UUID, ended: State[None]) -> None:
    """Sets a suspended run to a final state; one that is not suspended stays as it is."""
    state = client.read_flow_run(run_id).state
    if state is not None and state.type is StateType.PAUSED:
        client.set_flow_run_state(run_id, ended, force=True)


def _expire_proposals(settings: Settings, now: datetime, pruned: Pruned, report: Report) -> None:
    """Rejects the proposals that nobody has reviewed in time."""
    for stored in list_expired(settings.locate(settings.samples_uri), now):
        with (
            _noting_failure(stored.handle, pruned, report),
            _keep_runs_out(stored.handle, "Its proposal still waits", pruned),
        ):
            if pruned.dry_run or _reject_expired(stored):
                pruned.proposals += 1
                report(f"proposal of {stored.handle}, run {stored.run_id}: {EXPIRED}")


def _prune_sets(rejected_days: int, settings: Settings, now: datetime, pruned: Pruned, report: Report) -> None:
    found = list_old_sets(settings.locate(settings.samples_uri), now - timedelta(days=rejected_days))
    for handle, sets in groupby(found, lambda old: old.handle):
        with _noting_failure(handle, pruned, report), _keep_runs_out(handle, "Its rejected sets stay", pruned):
            for old in sets:
                if pruned.dry_run or remove_old_set(old):
                    pruned.sets += 1
                    pruned.sets_bytes += old.bytes
                    written = f"written {old.written_at:%Y-%m-%d}, {old.bytes:,} bytes"
                    report(f"{old.kind} set of {handle}, run {old.run_id}: {written}")


def _prune_replies(settings: Settings, now: datetime, pruned: Pruned, report: Report) -> None:
    """Prunes the kept replies by the same limits that every run applies at its end."""
    bounds = settings.replies_place, settings.cache_max_days, settings.cache_max_gb, now
    plans = list_prunable(*bounds)
    for plan in plans:
        days = count_noun((now - plan.used_at).days, "day")
        report(f"kept replies of {plan.handle or 'an unknown model'}, plan {plan.plan_id}: unused for {days}")
    pruned.plans, pruned.plans_bytes = len(plans), sum(plan.bytes for plan in plans)
    if not pruned.dry_run:
        removed = prune_cache(*bounds)
        pruned.plans, pruned.plans_bytes = removed.plans, removed.bytes


def _reject_expired(stored: StoredSet) -> bool:
    """Rejects a proposal, and sets its run to Cancelled where it is suspended. The caller must keep runs out.

    False where the proposal does not wait any more, or somebody has decided on it: its run goes on.

    Raises:
        StoreError: the store cannot be read or written; the proposal then still waits.
    """
    manifest = read_manifest(stored.folder)
    if manifest is None or manifest.get("status") != "proposed":
        return False
    if not PREFECT_API_URL.value():
        emit_written(reject_proposal(stored, EXPIRED, False))
        return True
    with get_client(sync_client=True) as client:
        if _goes_on(client, stored.run_id):
            return False
        emit_written(reject_proposal(stored, EXPIRED, False))
        # A server that is away has the run suspended still; resumed, it finds the proposal rejected and ends.
        with suppress(ObjectNotFound, httpx.HTTPError, ValueError):
            said = f"The proposal was rejected: {EXPIRED}. Nothing was attached"
            end_suspended(client, UUID(stored.run_id), Cancelled(message=said))
    return True


def _goes_on(client: SyncPrefectClient, run_id: str) -> bool:
    """Whether a run is neither suspended nor over; one that Prefect does not know is over."""
    try:
        state = client.read_flow_run(UUID(run_id)).state
    except (ObjectNotFound, ValueError):
        return False
    return state is not None and not state.is_final() and state.type is not StateType.PAUSED


@contextmanager
def _noting_failure(handle: str, pruned: Pruned, report: Report) -> Iterator[None]:
    """What cannot be done to a model's sets inside the block stands in ``pruned``, and other models' turns come."""
    try:
        yield
    except ModelBusyError as error:
        pruned.busy.append(handle)
        report(str(error))
    except StoreError as error:
        pruned.failed.append(str(error))


def _keep_runs_out(handle: str, undone: str, pruned: Pruned) -> AbstractContextManager[None]:
    return nullcontext() if pruned.dry_run else keep_runs_out(handle, undone)
