"""The work of ``exemplars detach``: detaches a set while no run works on its model, and prints what it was."""

import json

from engine.settings import Settings
from engine.store.detach import detach_set, find_detachable
from engine.store.layout import DETACHED
from engine.store.store import StoredSet
from engine.text.formatting import count_noun
from flows.run.lease.slot import keep_runs_out
from flows.run.set_events import emitting_removals


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
