"""Tells a model's sets apart by the definition that they were made for, and counts what is lacking."""

from collections import Counter
from collections.abc import Iterable

from engine.asking.held_out import choose_pool
from engine.asking.plan import digest_definition
from engine.definitions.effort import Level
from engine.domain.model import Model, Pole, SynthType
from engine.store.store import StoredSet, list_sets


def list_outdated(sets: Iterable[StoredSet], model: Model) -> list[StoredSet]:
    """Those of a model's sets that were made for another definition than its present one.

    Authored samples make no other definition: ``digest_definition``. A set whose manifest does not say what it was made
    for counts as made for the present one.
    """
    present = digest_definition(model)
    return [stored for stored in sets if stored.manifest.get("inputs", {}).get("meaning", present) != present]


def count_missing(samples_uri: str, model: Model, synth_type: SynthType, level: Level) -> dict[tuple[str, Pole], int]:
    """How many exemplars each trait and pole lacks of the level's number, by the manifests of the synth type's pool.

    What the model replaces does not count.

    Raises:
        StoreError: a set cannot be read.
    """
    there: Counter[tuple[str, str]] = Counter()
    for stored in list_sets(samples_uri, model.handle, choose_pool(synth_type)):
        if stored.run_id not in model.replaces:
            for trait, poles in stored.manifest["counts"].items():
                there.update({(trait, pole): count for pole, count in poles.items()})
    wanted = level.exemplars_per_pole
    return {place: max(0, wanted - there[place]) for place in model.poles}
