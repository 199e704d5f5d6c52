"""The work of ``exemplars remove``: takes single samples off a draft while no run works on it, and prints what went."""

import getpass
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from engine.definitions.lifecycle import check_draft
from engine.domain.model import SURROGATE, check_handle
from engine.errors import InputError
from engine.listing.places import Places, find_places, remove_samples
from engine.settings import Settings
from engine.store.removal import Removal
from engine.text.formatting import count_noun
from flows.run.lease.slot import keep_runs_out
from flows.run.set_events import emitting_removals

UNDONE = "Nothing was removed"


def remove_ids(settings: Settings, handle: str, ids: Sequence[int], why: str = "") -> Places:
    """Removes the samples of some ids from a model, and returns where they stood.

    Raises:
        InputError: an id is unknown, or that of a sample that an author wrote; all such ids are named.
        HandleError, FrozenModelError, DefinitionError: the model is not there, is not a draft, or has mistakes.
        ModelBusyError: a run works on the model.
        OrchestratorError: Prefect's server cannot be asked whether a run does.
        StoreError: the store cannot be read or written.
    """
    if SURROGATE.search(why):
        raise InputError(f"The reason is not text that can be kept: {why!r}. {UNDONE}")
    models_uri, samples_uri = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    check_draft(models_uri, check_handle(handle), UNDONE)
    places = find_places(models_uri, samples_uri, handle, ids, ("train", "eval"))
    check_places(handle, places)
    sets = [stored for stored, _ in places.attached]
    with keep_runs_out(handle, UNDONE), emitting_removals(sets):
        check_draft(models_uri, handle, UNDONE)
        remove_samples(models_uri, handle, places, Removal(tuple(ids), datetime.now(UTC), why, _name_user()))
    return places


def check_places(handle: str, places: Places) -> None:
    """Checks that each wanted sample may go.

    Raises:
        InputError: some may not; the message names all of them.
    """
    said = []
    if places.unknown:
        named = ", ".join(map(str, places.unknown))
        said.append(f"{handle} has no sample {named}")
    said += [
        f"Sample {number} stands in {place}, which an author wrote: take it out there"
        for number, place in places.authored.items()
    ]
    if said:
        raise InputError(f"{'. '.join(said)}. {UNDONE}")


def show_removed(handle: str, places: Places, as_json: bool = False) -> None:
    """Prints what was removed, from which sets, and what had been removed before."""
    runs = Counter({stored.run_id: len(own) for stored, own in places.attached})
    before = sorted(places.removed)
    if as_json:
        facts = {"handle": handle, "removed": sorted(places.removable), "runs": runs, "added": sorted(places.added)}
        print(json.dumps({**facts, "removed_before": before}))
        return
    print(f"Removed from {handle}: {count_noun(len(places.removable), 'sample')}")
    for run_id, count in runs.items():
        print(f"  {count:,} of run {run_id}, named in its __run__/manifest.json")
    if places.added:
        print(f"  {len(places.added):,} that had been added")
    if before:
        print(f"  {', '.join(map(str, before))} had been removed before")
    print(f"`exemplars synthesize {handle} --only-lacking` fills up what is lacking now.")


def _name_user() -> str:
    """The name of who runs the command; empty in a container whose user has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
