"""The work of ``exemplars detach``, ``remove`` and ``verify``: sets and single samples go, and the store is checked."""

import getpass
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from engine.definitions.lifecycle import check_draft
from engine.domain.model import SURROGATE, check_handle
from engine.errors import InputError, StoreError
from engine.listing.places import Places, find_places, remove_samples
from engine.settings import Settings
from engine.store.detach import detach_set, find_detachable
from engine.store.layout import DETACHED
from engine.store.removal import Removal
from engine.store.store import StoredSet
from engine.store.upkeep.verify import Fault, StoreVerifier
from engine.text.formatting import count_noun
from flows.run.lease.slot import keep_runs_out
from flows.run.set_events import emitting_removals

UNDONE = "Nothing was removed"


def detach_run(settings: Settings, run_id: str) -> StoredSet:
    """Detaches the set of a run from its model, and returns the set as it was.

    Raises:
        InputError, FrozenModelError, DefinitionError, StoreError: as ``find_detachable`` and ``detach_set``.
        ModelBusyError: a run works on the model.
        OrchestratorError: Prefect's server cannot be asked whether a run does.
    """
    stored = find_detachable(settings.locate(settings.models_uri), settings.locate(settings.samples_uri), run_id)
    with keep_runs_out(stored.handle, "Nothing was detached"), emitting_removals([stored]):
        detach_set(stored)
    return stored


def show_detached(stored: StoredSet, as_json: bool = False) -> None:
    """Prints what was detached and where its samples are kept."""
    counts = stored.manifest.get("counts", {})
    samples = sum(sum(poles.values()) for poles in counts.values())
    kept = stored.file(DETACHED)
    if as_json:
        facts = {"run_id": stored.run_id, "handle": stored.handle, "pool": stored.manifest.get("pool")}
        print(json.dumps({**facts, "samples": samples, "counts": counts, "kept": kept}))
        return
    print(f"Detached from {stored.handle}: {count_noun(samples, 'sample')} of run {stored.run_id}")
    for trait, poles in counts.items():
        print(f"  {trait}: {', '.join(f'{count} {pole}' for pole, count in poles.items())}")
    print(f"They are kept in {kept}, where no reader of samples looks.")
    print("The same request makes the same samples again, from the kept replies. Another EXEMPLARS_SEED makes others.")


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


def verify_store(samples_uri: str, as_json: bool = False) -> None:
    """Prints each fault as it is found, and a summary.

    Raises:
        StoreError: something is broken, or the store cannot be listed.
    """
    verifier = StoreVerifier(samples_uri)
    faults: list[Fault] = []
    for fault in verifier.find_faults():
        if as_json:
            faults.append(fault)
        else:
            print(f"{fault.where}: {fault.what}. {fault.remedy}")
    if as_json:
        summary = {
            "models": verifier.models,
            "sets": verifier.sets,
            "samples": verifier.samples,
            "bytes": verifier.size_bytes,
        }
        print(json.dumps({**summary, "broken": [asdict(fault) for fault in faults]}))
    else:
        print(summarise(verifier))
    if verifier.broken:
        verb, noun = ("is", "thing") if verifier.broken == 1 else ("are", "things")
        raise StoreError(f"{verifier.broken} {noun} {verb} broken in {samples_uri}")


def summarise(verifier: StoreVerifier) -> str:
    """What the store holds, in one line."""
    sets = ", ".join(f"{count} {status}" for status, count in verifier.sets.items())
    size = f"{verifier.size_bytes / 1e6:.1f} MB"
    said = "nothing is broken" if not verifier.broken else f"{verifier.broken} broken"
    models, samples = count_noun(verifier.models, "model"), count_noun(verifier.samples, "sample")
    return f"{verifier.samples_uri}: {models}, sets: {sets}; {samples}, {size}: {said}"


def _name_user() -> str:
    """The name of who runs the command; empty in a container whose user has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
