"""Commands on the sample store: verify it, detach sets, remove samples, and prune old sets and replies."""

import json
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from engine.domain.characters import INVALID_CHARACTER
from engine.domain.model import check_handle
from engine.errors import InputError, ModelBusyError, StoreError
from engine.settings import read_settings
from engine.text.formatting import count_noun
from flows.cli.console import name_user
from flows.cli.in_process import quiet_libraries
from flows.cli.options import JUDGE, KEEP, HandleArgument, json_option, read_id

if TYPE_CHECKING:
    from engine.listing.locations import SampleLocation
    from engine.llm.replies.admin import CachedPlan

UNDONE = "Nothing was removed"

app = typer.Typer()


@app.command("verify", rich_help_panel=KEEP, epilog="Example: exemplars verify")
def verify_command(
    as_json: Annotated[bool, json_option("models, sets, samples, bytes, broken")] = False,
) -> None:
    """Check the whole sample store, and print faults with their remedies. Changes nothing."""
    quiet_libraries(verbose=False)
    from engine.store.verify import StoreVerifier

    verifier = StoreVerifier(read_settings().samples_uri)
    faults = []
    for fault in verifier.find_faults():
        faults.append(asdict(fault))
        if not as_json:
            print(f"{fault.where}: {fault.what}. {fault.remedy}")
    held = {"models": verifier.models, "sets": verifier.sets, "samples": verifier.samples}
    if as_json:
        print(json.dumps({**held, "bytes": verifier.size_bytes, "broken": faults}))
    else:
        sets = ", ".join(f"{count} {status}" for status, count in verifier.sets.items())
        models, samples = count_noun(verifier.models, "model"), count_noun(verifier.samples, "sample")
        result = f"{len(faults)} broken" if faults else "nothing is broken"
        size = f"{verifier.size_bytes / 1e6:.1f} MB"
        print(f"{verifier.samples_uri}: {models}, sets: {sets}; {samples}, {size}: {result}")
    if faults:
        verb, noun = ("is", "thing") if len(faults) == 1 else ("are", "things")
        raise StoreError(f"{len(faults)} {noun} {verb} broken in {verifier.samples_uri}")


@app.command("detach", rich_help_panel=JUDGE, epilog="Example: exemplars detach 0f2c7c1e-5b1f-4b0e-9a53-7a4f3c0d2b11")
def detach_command(
    run_id: Annotated[str, typer.Argument(help="The run whose set goes, such as the run=… of its folder.")],
    as_json: Annotated[bool, json_option("run_id, handle, pool, samples, counts, kept")] = False,
) -> None:
    """Detach a set from a draft: no reader sees its samples any more. Its report and rows are kept."""
    quiet_libraries(verbose=False)
    from engine.store.changes import detach_set, find_detachable
    from engine.store.layout import DETACHED
    from engine.store.store import count_stored
    from flows.run.lease.slot import lock_model
    from flows.run.set_events import emitting_removals

    settings = read_settings()
    stored = find_detachable(settings.models_uri, settings.samples_uri, run_id)
    with lock_model(stored.handle, "Nothing was detached"), emitting_removals([stored]):
        detach_set(stored, name_user())
    counts, kept = stored.manifest.get("counts", {}), stored.file(DETACHED)
    samples = count_stored([stored])
    if as_json:
        facts = {"run_id": stored.run_id, "handle": stored.handle, "pool": stored.manifest.get("pool")}
        print(json.dumps({**facts, "samples": samples, "counts": counts, "kept": kept}))
        return
    print(f"Detached from {stored.handle}: {count_noun(samples, 'sample')} of run {stored.run_id}")
    for trait, poles in counts.items():
        print(f"  {trait}: {', '.join(f'{count} {pole}' for pole, count in poles.items())}")
    print(f"They are kept in {kept}, where no reader of samples looks.")
    print("The same request makes the same samples again, from the kept replies. Another EXEMPLARS_SEED makes others.")


@app.command("remove", rich_help_panel=JUDGE, epilog="Example: exemplars remove acme.reviews 8127364550912")
def remove_command(
    handle: HandleArgument,
    ids: Annotated[list[int], typer.Argument(metavar="ID...", parser=read_id, help="The ids of the samples.")],
    why: Annotated[str, typer.Option(help="The reason, kept with them.")] = "",
    as_json: Annotated[bool, json_option("handle, removed, runs, added, removed_before")] = False,
) -> None:
    """Remove single samples from a draft: no reader sees them any more. The set's manifest names them."""
    quiet_libraries(verbose=False)
    from engine.definitions.lifecycle import check_draft
    from engine.listing.locations import find_in_model, list_touched, remove_samples
    from engine.store.changes import Removal
    from flows.run.lease.slot import lock_model
    from flows.run.set_events import emitting_removals

    if INVALID_CHARACTER.search(why):
        raise InputError(f"The reason is not text that can be kept: {why!r}. {UNDONE}")
    settings = read_settings()
    check_draft(settings.models_uri, check_handle(handle), UNDONE)
    places = find_in_model(settings.models_uri, settings.samples_uri, handle, ids, ("train", "eval"))
    known = {place.number for place in places}
    unknown = [str(number) for number in dict.fromkeys(ids) if number not in known]
    mistakes = [f"{handle} has no sample {', '.join(unknown)}"] if unknown else []
    authored = [place for place in places if place.state == "authored" and not place.is_added]
    mistakes += [f"Sample {own.number} is in {own.where}, which an author wrote: remove it there" for own in authored]
    if mistakes:
        raise InputError(f"{'. '.join(mistakes)}. {UNDONE}")
    with lock_model(handle, UNDONE), emitting_removals(list_touched(places)):
        check_draft(settings.models_uri, handle, UNDONE)
        remove_samples(settings.models_uri, handle, places, Removal(tuple(ids), datetime.now(UTC), why, name_user()))
    _show_removed(handle, places, as_json)


@app.command("prune", rich_help_panel=KEEP, epilog="Example: exemplars prune --dry-run")
def prune_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
    rejected_days: Annotated[int, typer.Option(min=1, max=36_500, help="Remove rejected sets so many days old.")] = 30,
    replies: Annotated[
        str | None,
        typer.Option(metavar="HANDLE", help="Drop the kept replies of a model, or of `all`, old or not, and no more."),
    ] = None,
    as_json: Annotated[bool, json_option("the totals")] = False,
) -> None:
    """Remove old rejected sets and the replies of unused plans. Never removes an attached set."""
    if replies is not None:
        _drop_replies(None if replies == "all" else check_handle(replies), dry_run, as_json)
        return
    quiet_libraries(verbose=False)
    from flows.prune import prune_all

    where, now = sys.stderr if as_json else sys.stdout, datetime.now(UTC)
    pruned = prune_all(read_settings(), rejected_days, now, dry_run, lambda line: print(line, file=where, flush=True))
    print(json.dumps(asdict(pruned)) if as_json else pruned.describe())
    if pruned.failed:
        raise StoreError("Some things could not be removed. Run it again to retry.\n" + "\n".join(pruned.failed))


def _show_removed(handle: str, places: "Collection[SampleLocation]", as_json: bool) -> None:
    """Print the removed samples by set, samples that were removed before, and commands to fill up the sets."""
    from engine.listing.locations import list_touched
    from engine.store.sample_set import write_filling_command

    runs = Counter(place.stored.run_id for place in places if place.stored and place.is_removable)
    removed = sorted({place.number for place in places if place.is_removable})
    added = sorted({place.number for place in places if place.is_added})
    before = sorted({place.number for place in places if place.state == "removed"}.difference(removed))
    if as_json:
        facts = {"handle": handle, "removed": removed, "runs": runs, "added": added}
        print(json.dumps({**facts, "removed_before": before}))
        return
    print(f"Removed from {handle}: {count_noun(len(removed), 'sample')}")
    for run_id, count in runs.items():
        print(f"  {count:,} of run {run_id}, named in its __run__/manifest.json")
    if added:
        print(f"  {len(added):,} that had been added")
    if before:
        print(f"  {', '.join(map(str, before))} had been removed before")
    for command in dict.fromkeys(write_filling_command(stored.manifest) for stored in list_touched(places)):
        print(f"`{command}` makes the samples that are missing now.")


def _drop_replies(handle: str | None, dry_run: bool, as_json: bool) -> None:
    from engine.llm.replies.admin import list_cache, remove_plans

    place, owner = read_settings().replies_place, f"of {handle}" if handle else "of all models"
    plans = list_cache(place, handle)
    if dry_run:
        as_objects = [asdict(plan) for plan in plans]
        print(json.dumps(as_objects, default=datetime.isoformat) if as_json else _format_plans(plans))
        return
    removed = remove_plans(place, plans)
    gone, count, size = set(removed), sum(plan.replies for plan in removed), sum(plan.bytes for plan in removed)
    in_use = [plan.plan_id for plan in plans if plan not in gone]
    if as_json:
        print(json.dumps({"plans": len(removed), "replies": count, "bytes": size, "in_use": in_use}))
    elif removed:
        what = f"{count_noun(count, 'reply', 'replies')} {owner}: {count_noun(len(removed), 'plan')}"
        print(f"Dropped {what}, {size / 1e6:.1f} MB. A run that did not finish has to make all of its calls again")
    else:
        print(f"No replies {owner} were dropped")
    if in_use:
        raise ModelBusyError(
            f"These plans are in use by live runs, so their replies were not dropped: {', '.join(in_use)}. "
            "Wait until the runs end, or cancel them, and drop them again"
        )


def _format_plans(plans: "Sequence[CachedPlan]") -> str:
    lines = [f"{'model':<36} {'replies':>8} {'MB':>8}  {'last used (UTC)':<16}  plan"]
    lines += [
        f"{plan.handle or 'unknown':<36} {plan.replies:>8} {plan.bytes / 1e6:>8.1f}  "
        f"{plan.used_at:%Y-%m-%d %H:%M}  {plan.plan_id}{' (in use)' if plan.in_use else ''}"
        for plan in plans
    ]
    total = f"{count_noun(len(plans), 'plan')}, {count_noun(sum(plan.replies for plan in plans), 'reply', 'replies')}"
    return "\n".join([*lines, f"{total}, {sum(plan.bytes for plan in plans) / 1e6:.1f} MB"])
