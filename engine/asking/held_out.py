"""Keep the training pool separate from the held-out pool for evaluation, in texts and in subjects.

A held-out text that leaks into training spoils every metric measured on it, while a rejected candidate costs one call.
So the similarity threshold between the pools is lower than the one for duplicates within a pool.
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
    """Find for each text a near duplicate in the pools, or else a text that shares ``COMMON_RUN`` words in a row.

    The result has no entry for a text without an overlap.

    Args:
        pools: the texts that new texts must not overlap with.
    """
    nearest = [find_nearest(texts, pool, kind) for pool in pools]
    near = {text: match for text in texts if (match := choose_nearest(*(matches.get(text) for matches in nearest)))}
    rest = [text for text in texts if text not in near]
    # If several texts share a run of words with a new one, the last is named.
    others: dict[str, dict[tuple[str, ...], str]] = {}
    for pool in pools:
        for item in share_runs(rest, pool):
            others.setdefault(rest[item.query], {}).update(dict.fromkeys(item.runs, item.text))
    return near | {text: Match(runs[min(runs)], 0.0) for text, runs in others.items()}


def choose_pool(synth_type: SynthType) -> Pool:
    """Return the pool that the sets of a synth type belong to."""
    return "eval" if synth_type == "enrich" else "train"


def list_other_pools(model: Model, synth_type: SynthType) -> tuple[StoredTexts, ...]:
    """List the texts of the opposite pool: authored and attached texts for ``enrich``, otherwise the held-out texts."""
    if synth_type != "enrich":
        return (as_stored(model.existing.held_out).texts,)
    return MemoryTexts(tuple({seed.text: None for seed in model.authored})), as_stored(model.existing.attached).texts


def restrict_to_pool(model: Model, synth_type: SynthType) -> Model:
    """Restrict a model to the pool of a synth type: for ``enrich``, to its held-out samples, without seeds."""
    if synth_type != "enrich":
        return model
    existing = replace(model.existing, attached=model.existing.held_out)
    return replace(model, seeds=(), conflicting_labels=(), existing=existing)


def list_taken_subjects(model: Model, synth_type: SynthType) -> frozenset[str]:
    """List the subjects that a run must not use, in the form of ``normalise``: the opposite pool's subjects.

    Also excluded: for ``enrich`` its own pool's subjects, for it and ``diversify`` those of authored texts.
    """
    subjects = list(as_stored(model.existing.held_out).count_subjects())
    if synth_type != "from_traits":
        # Bypass the cache: there may be a million texts.
        subjects += name_subjects.__wrapped__(tuple(seed.text for seed in model.seeds))
    if synth_type == "enrich":
        subjects += as_stored(model.existing.attached).count_subjects()
    return frozenset(normalise(subject) for subject in subjects)
