"""Keeps the training pool and the held-out pool for evaluation apart, in their texts and in their subjects.

A held-out text that leaks into training spoils every figure that is measured on it, while a rejected candidate costs
one call. So the threshold between the pools is lower than the one for duplicates within a pool.
"""

from collections.abc import Sequence
from dataclasses import replace

from engine.asking.fields import name_subjects
from engine.domain.model import Model, Pool, SynthType
from engine.store.index.samples import as_stored
from engine.store.index.search import MemoryTexts, StoredTexts, find_nearest, share_runs
from engine.text.near_duplicates import APART, Match, Nearness, choose_nearest
from engine.text.words import normalise


def find_overlaps(texts: Sequence[str], pools: Sequence[StoredTexts], kind: Nearness = APART) -> dict[str, Match]:
    """Finds for each text a near duplicate of it, or else a text that shares ``COMMON_RUN`` words in a row with it.

    Texts without an overlap are left out.

    Args:
        pools: the texts that new ones must not overlap with.
    """
    near = [find_nearest(texts, pool, kind) for pool in pools]
    found = {text: match for text in texts if (match := choose_nearest(*(its.get(text) for its in near)))}
    rest = [text for text in texts if text not in found]
    # Of several texts with a run the last one is named.
    others: dict[str, dict[tuple[str, ...], str]] = {}
    for pool in pools:
        for item in share_runs(rest, pool):
            others.setdefault(rest[item.query], {}).update(dict.fromkeys(item.runs, item.text))
    return found | {text: Match(runs[min(runs)], 0.0) for text, runs in others.items()}


def choose_pool(synth_type: SynthType) -> Pool:
    """Returns the pool that the sets of a synth type belong to."""
    return "eval" if synth_type == "enrich" else "train"


def list_other_pools(model: Model, synth_type: SynthType) -> tuple[StoredTexts, ...]:
    """Lists the texts of the other pool: for ``enrich`` the authored and attached ones, otherwise the held-out ones."""
    if synth_type != "enrich":
        return (as_stored(model.held_out).texts,)
    return MemoryTexts(tuple({seed.text: None for seed in model.authored})), as_stored(model.attached).texts


def restrict_to_pool(model: Model, synth_type: SynthType) -> Model:
    """Restricts a model to the pool of a synth type: for ``enrich`` to its held-out samples, without the seeds."""
    if synth_type != "enrich":
        return model
    return replace(model, seeds=(), conflicting_labels=(), attached=model.held_out)


def list_taken_subjects(model: Model, synth_type: SynthType) -> frozenset[str]:
    """Lists the subjects of the other pool, in the form in which subjects are compared (``normalise``).

    ``enrich`` also takes none of its own pool; ``enrich`` and ``diversify`` none of the authored texts.
    """
    subjects = list(as_stored(model.held_out).count_subjects())
    if synth_type != "from_traits":
        # They may be a million, which no cache is to keep.
        subjects += name_subjects.__wrapped__(tuple(seed.text for seed in model.seeds))
    if synth_type == "enrich":
        subjects += as_stored(model.attached).count_subjects()
    return frozenset(normalise(subject) for subject in subjects)
