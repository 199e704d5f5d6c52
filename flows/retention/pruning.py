"""Prunes the sample store and the kept replies: removes what is old and no longer needed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL

from engine.errors import ExemplarsError, ModelBusyError, StoreError
from engine.llm.replies.admin import list_prunable, prune_cache
from engine.settings import Settings
from engine.store.proposals import list_expired, list_waiting
from engine.store.upkeep.retention import OldSet, list_old_sets, remove_old_set
from engine.text.formatting import count_noun
from flows.retention.expiry import EXPIRED, expire_proposal
from flows.run.lease.slot import keep_runs_out

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


def _expire_proposals(settings: Settings, now: datetime, pruned: Pruned, report: Report) -> None:
    """Rejects the proposals that nobody has reviewed in time."""
    for stored in list_expired(list_waiting(settings.locate(settings.samples_uri)), now):
        if not pruned.dry_run:
            try:
                with keep_runs_out(stored.handle, "Its proposal still waits"), _open_client() as client:
                    if not expire_proposal(stored, client):
                        continue
            except ModelBusyError as error:
                pruned.busy.append(stored.handle)
                report(str(error))
                continue
            except StoreError as error:
                pruned.failed.append(str(error))
                continue
        pruned.proposals += 1
        report(f"proposal of {stored.handle}, run {stored.run_id}: {EXPIRED}")


def _prune_sets(rejected_days: int, settings: Settings, now: datetime, pruned: Pruned, report: Report) -> None:
    samples_uri = settings.locate(settings.samples_uri)
    found = list_old_sets(samples_uri, now - timedelta(days=rejected_days))
    for handle, sets in groupby(found, lambda old: old.handle):
        if pruned.dry_run:
            for old in sets:
                _count_set(old, pruned, report)
            continue
        try:
            with keep_runs_out(handle, "Its rejected sets stay"):
                _remove_sets(sets, pruned, report)
        except ModelBusyError as error:
            pruned.busy.append(handle)
            report(str(error))


def _remove_sets(sets: Iterator[OldSet], pruned: Pruned, report: Report) -> None:
    for old in sets:
        try:
            if remove_old_set(old):
                _count_set(old, pruned, report)
        except StoreError as error:
            pruned.failed.append(str(error))


def _count_set(old: OldSet, pruned: Pruned, report: Report) -> None:
    pruned.sets += 1
    pruned.sets_bytes += old.bytes
    report(f"{old.kind} set of {old.handle}, run {old.run_id}: written {old.written_at:%Y-%m-%d}, {old.bytes:,} bytes")


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


@contextmanager
def _open_client() -> Iterator[SyncPrefectClient | None]:
    """A client of Prefect's server; None where none is configured."""
    if not PREFECT_API_URL.value():
        yield None
        return
    with get_client(sync_client=True) as client:
        yield client
