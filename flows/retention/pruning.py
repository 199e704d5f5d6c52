"""Pruning: what is old and of no use is taken away from the sample store, from the kept replies, and from Prefect."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL

from engine.errors import ExemplarsError, ModelBusyError, StoreError
from engine.replies.admin import list_prunable, prune_cache
from engine.replies.remote_admin import prune_segments
from engine.settings import Settings
from engine.store.retention import OldSet, list_old_sets, remove_old_set, sweep_unfinished_removals
from flows.retention.old_runs import prune_runs
from flows.runs.exclusive import keep_runs_out

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ages:
    """How old things have to be: a rejected set since it was written, a run since it ended."""

    rejected_days: int = 30
    runs_days: int = 90


@dataclass(slots=True)
class Pruned:
    """What was taken away or, in a dry run, would be; ``busy`` models keep theirs until the next time.

    ``failed`` has a sentence for each thing that could not be done.
    """

    dry_run: bool
    sets: int = 0
    sets_bytes: int = 0
    plans: int = 0
    plans_bytes: int = 0
    runs: int = 0
    runs_kept: int = 0
    busy: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """The sums in a sentence."""
        gone = "Would go" if self.dry_run else "Gone"
        return (
            f"{gone}: {self.sets} rejected or unfinished sets ({self.sets_bytes / 1e6:.1f} MB), kept replies of "
            f"{self.plans} plans ({self.plans_bytes / 1e6:.1f} MB), {self.runs} finished runs ({self.runs_kept} old "
            "ones stay, since the state of their model or the next request hangs on them)"
        )


def prune_all(settings: Settings, ages: Ages, now: datetime, dry_run: bool, tell: Tell) -> Pruned:
    """Prunes all three, whatever becomes of each; ``tell`` is given a line for each thing that goes or would go.

    Runs are pruned where a Prefect server is configured.
    """
    pruned = Pruned(dry_run)
    for prune in (_prune_sets, _prune_replies, _prune_prefect):
        try:
            prune(settings, ages, now, pruned, tell)
        except ExemplarsError as error:
            pruned.failed.append(str(error))
    return pruned


def _prune_sets(settings: Settings, ages: Ages, now: datetime, pruned: Pruned, tell: Tell) -> None:
    samples_uri = settings.locate(settings.samples_uri)
    if not pruned.dry_run:
        sweep_unfinished_removals(samples_uri)
    found = list_old_sets(samples_uri, now - timedelta(days=ages.rejected_days))
    for handle, sets in groupby(found, lambda old: old.handle):
        if pruned.dry_run:
            for old in sets:
                _count_set(old, pruned, tell)
            continue
        try:
            with keep_runs_out(handle, "Its rejected sets stay"):
                _remove_sets(samples_uri, sets, pruned, tell)
        except ModelBusyError as error:
            pruned.busy.append(handle)
            tell(str(error))


def _remove_sets(samples_uri: str, sets: Iterator[OldSet], pruned: Pruned, tell: Tell) -> None:
    for old in sets:
        try:
            if remove_old_set(samples_uri, old):
                _count_set(old, pruned, tell)
        except StoreError as error:
            pruned.failed.append(str(error))


def _count_set(old: OldSet, pruned: Pruned, tell: Tell) -> None:
    pruned.sets += 1
    pruned.sets_bytes += old.bytes
    tell(f"{old.kind} set of {old.handle}, run {old.run_id}: written {old.written_at:%Y-%m-%d}, {old.bytes:,} bytes")


def _prune_replies(settings: Settings, ages: Ages, now: datetime, pruned: Pruned, tell: Tell) -> None:
    """Those on this machine, by the limits that each run holds them to as well."""
    bounds = settings.locate(settings.cache_dir), settings.cache_max_days, settings.cache_max_gb, now
    plans = list_prunable(*bounds)
    for plan in plans:
        days = (now - plan.used_at).days
        tell(f"kept replies of {plan.handle or 'an unknown model'}, plan {plan.plan_id}: unused for {days} days")
    pruned.plans, pruned.plans_bytes = len(plans), sum(plan.bytes for plan in plans)
    if not pruned.dry_run:
        removed = prune_cache(*bounds)
        pruned.plans, pruned.plans_bytes = removed.plans, removed.bytes
        pruned.failed += [f"Kept replies could not be dropped: {failure}" for failure in removed.failed]
    if settings.replies_uri is not None:
        _prune_stored(settings, settings.locate(settings.replies_uri), now, pruned, tell)


def _prune_stored(settings: Settings, replies_uri: str, now: datetime, pruned: Pruned, tell: Tell) -> None:
    """Those on the store that all machines share."""
    removed = prune_segments(replies_uri, settings.cache_max_days, now, pruned.dry_run)
    for plan in removed.plans:
        days = (now - plan.used_at).days
        tell(f"stored replies of {plan.handle or 'an unknown model'}, plan {plan.plan_id}: unused for {days} days")
    pruned.plans += len(removed.plans)
    pruned.plans_bytes += removed.bytes
    pruned.failed += [f"Stored replies could not be dropped: {failure}" for failure in removed.failed]


def _prune_prefect(settings: Settings, ages: Ages, now: datetime, pruned: Pruned, tell: Tell) -> None:
    if not PREFECT_API_URL.value():
        tell("No Prefect server is configured (PREFECT_API_URL), so no runs were looked for")
        return
    with get_client(sync_client=True) as client:
        runs = prune_runs(client, now - timedelta(days=ages.runs_days), pruned.dry_run, tell)
    pruned.runs, pruned.runs_kept = runs.deleted, runs.kept
