"""Finished: a run that is started again after it attached its set has nothing more to do, and nothing more to pay."""

from engine.domain.model import POLES, SynthType
from engine.planning.held_out import choose_pool
from engine.store.sample_set import REPORT, SAMPLES, read_manifest
from engine.store.store import StoredSet, locate_set
from engine.summary import RunResult


def find_finished(samples_uri: str, handle: str, synth_type: SynthType, run_id: str) -> RunResult | None:
    """The result of the run, where its set is attached: a retry in the UI of one that completed, or was killed at the
    last moment. None for a run that has attached nothing yet.

    Raises:
        StoreError: the store cannot be read.
    """
    folder = locate_set(samples_uri, handle, choose_pool(synth_type), run_id)
    manifest = read_manifest(folder)
    if manifest is None or manifest.get("status") != "attached":
        return None
    stored = StoredSet(folder, manifest, written=False)
    kept = {(trait, pole): int(counts[pole]) for trait, counts in manifest["counts"].items() for pole in POLES}
    # A set is attached only when every quota is met exactly.
    wanted = max(kept.values())
    return RunResult(run_id, "attached", stored.file(SAMPLES), stored.file(REPORT), wanted, kept)
