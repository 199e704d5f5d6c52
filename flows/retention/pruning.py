"""Prunes the sample store and the kept replies: removes what is old and no longer needed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from engine.errors import ExemplarsError, ModelBusyError, StoreError
from engine.llm.replies.admin import list_prunable, prune_cache
from engine.settings import Settings
from engine.store.proposals import list_expired
from engine.store.upkeep.retention import list_old_sets, remove_old_set
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
    for stored in list_expired(settings.locate(settings.samples_uri), now):
        with (
            _noting_failure(stored.handle, pruned, report),
            _keep_runs_out(stored.handle, "Its proposal still waits", pruned),
        ):
            if pruned.dry_run or expire_proposal(stored):
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
