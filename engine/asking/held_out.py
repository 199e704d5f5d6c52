"""Keeps the training pool and the held-out pool for evaluation apart, in their texts and in their subjects.

A held-out text that leaks into training spoils every figure that is measured on it, while a rejected candidate costs
one call. So the threshold between the pools is lower than the one for duplicates within a pool.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from engine.asking.fields import name_subjects
from engine.domain.model import Model, Pool, SynthType
from engine.domain.own_texts import OwnTexts
from engine.store.earlier.samples import as_stored
from engine.store.earlier.search import NO_TEXTS, MemoryTexts, StoredTexts, find_nearest, share_runs
from engine.text.near_duplicates import APART, NEAR, Match, choose_nearest, hash_form
from engine.text.words import normalise


class OverlapIndex:
    """An index of the other pool's texts, which finds those that new texts overlap with.

    Args:
        texts: those in memory, which grows with them.
        stored: those in the store.
    """

    def __init__(self, texts: Iterable[str], stored: StoredTexts = NO_TEXTS) -> None:
        self._pools: tuple[StoredTexts, ...] = (MemoryTexts(tuple(dict.fromkeys(texts))), stored)

    def find_all(self, texts: Sequence[str]) -> dict[str, Match]:
        """Finds for each text a near duplicate of it, or else a text that shares ``COMMON_RUN`` words in a row with it.

        Texts without an overlap are left out.
        """
        near = [find_nearest(texts, pool, APART) for pool in self._pools]
        found = {text: match for text in texts if (match := choose_nearest(*(its.get(text) for its in near)))}
        rest = [text for text in texts if text not in found]
        # Of several texts with a run the last one is named.
        others: dict[str, dict[tuple[str, ...], str]] = {}
        for pool in self._pools:
            for item in share_runs(rest, pool):
                others.setdefault(rest[item.query], {}).update(dict.fromkeys(item.runs, item.text))
        return found | {text: Match(runs[min(runs)], 0.0) for text, runs in others.items()}


class OwnTextsIndex:
    """An index of the author's own texts, which samples are to be like, and none is to be.

    A text is looked for among all of them, and a near duplicate among those that are drawn.
    """

    def __init__(self, texts: OwnTexts) -> None:
        self._texts = texts
        self._drawn = MemoryTexts(texts.drawn)
        # Made here, once: of 20,000 texts it takes a second.
        list(self._drawn.walk_hashes("near"))

    def find_all(self, texts: Sequence[str]) -> dict[str, Match]:
        """Finds for each text the same text or a near duplicate of it; texts without one are left out."""
        same = {text: Match(text, 1.0) for text in texts if self._texts.has(hash_form(text))}
        return find_nearest(texts, self._drawn, NEAR) | same


def choose_pool(synth_type: SynthType) -> Pool:
    """Returns the pool that the sets of a synth type belong to."""
    return "eval" if synth_type == "enrich" else "train"


def list_other_pool_texts(model: Model, synth_type: SynthType) -> tuple[tuple[str, ...], StoredTexts]:
    """Lists the texts of the other pool: for ``enrich`` the authored and attached ones, otherwise the held-out ones."""
    if synth_type == "enrich":
        return tuple(seed.text for seed in model.authored), as_stored(model.attached).texts
    return (), as_stored(model.held_out).texts


def restrict_to_pool(model: Model, synth_type: SynthType) -> Model:
    """Restricts a model to the pool of a synth type: for ``enrich`` to its held-out samples, without the seeds."""
    if synth_type != "enrich":
        return model
    return replace(model, seeds=(), contested=(), attached=model.held_out)


def list_taken_subjects(model: Model, synth_type: SynthType) -> frozenset[str]:
    """Lists the subjects of the other pool, in the form in which subjects are compared (``normalise``).

    ``enrich`` also takes none of its own pool; ``enrich`` and ``diversify`` none of the authored texts.
    """
    subjects = list(as_stored(model.held_out).count_subjects())
    if synth_type != "from_traits":
        subjects += name_subjects([seed.text for seed in model.seeds])
    if synth_type == "enrich":
        subjects += as_stored(model.attached).count_subjects()
    return frozenset(normalise(subject) for subject in subjects)
