"""List the sets of a model that are outdated, and count the exemplars that its present sets are short of."""

from collections import Counter
from collections.abc import Iterable

from engine.asking.held_out import choose_pool
from engine.asking.plan import digest_definition
from engine.definitions.effort import Level
from engine.domain.definition import Pole
from engine.domain.model import Model, SynthType
from engine.store.store import StoredSet, list_sets


def list_outdated(sets: Iterable[StoredSet], model: Model) -> list[StoredSet]:
    """Return the sets that were generated for an earlier definition of the model.

    Authored samples are not part of the definition (``digest_definition``). A set without a definition in its manifest
    counts as up to date.
    """
    present = digest_definition(model)
    return [stored for stored in sets if stored.manifest.get("inputs", {}).get("meaning", present) != present]


def count_missing(samples_uri: str, model: Model, synth_type: SynthType, level: Level) -> dict[tuple[str, Pole], int]:
    """Return how many exemplars each trait and pole is short of the level's number.

    The manifests of the sets in the synth type's pool are counted, except sets that the model replaces.

    Raises:
        StoreError: a set cannot be read.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for stored in list_sets(samples_uri, model.handle, choose_pool(synth_type)):
        if stored.run_id not in model.existing.replaces:
            for trait, poles in stored.manifest["counts"].items():
                counts.update({(trait, pole): count for pole, count in poles.items()})
    requested = level.exemplars_per_pole
    return {place: max(0, requested - counts[place]) for place in model.poles}
