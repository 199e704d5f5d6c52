"""Keeps the training pool and the held-out pool for evaluation apart, in their texts and in their subjects.

A held-out text that leaks into training spoils every figure that is measured on it, while a rejected candidate costs
one call. So the threshold between the pools is lower than the one for duplicates within a pool.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from engine.definitions.scenario_packs import Packs
from engine.domain.model import Attached, Model, Pool, SynthType
from engine.domain.samples import Row
from engine.planning.scenarios import ScenarioPool, TopicSubjects, rank_packs
from engine.planning.subjects import name_subjects
from engine.text.near_duplicates import Nearness, NearTexts
from engine.text.words import COMMON_RUN, normalise, word_runs

# At .7 an authored text with every eighth word replaced is found in 35 of 100 cases; at .4 one with every fourth word
# replaced is found in 90. The most similar of 58,992 pairs of different authored texts has .25
# (docs/decisions/012-strategies.md).
MIN_JACCARD = 0.4


@dataclass(frozen=True, slots=True)
class Overlap:
    """A text of the other pool that is too similar; ``similarity`` is in [0, 1], ``detail`` says what they share."""

    other: str
    similarity: float
    detail: str


class OverlapIndex:
    """An index of the other pool's texts, which finds the one that a new text overlaps with; memory grows with them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._near = NearTexts(Nearness(MIN_JACCARD, permutations=126, bands=42))
        self._runs: dict[tuple[str, ...], str] = {}
        self._texts = tuple(dict.fromkeys(texts))
        for number, text in enumerate(self._texts):
            self._near.add(str(number), text)
            self._runs.update(dict.fromkeys(word_runs(text, COMMON_RUN), text))

    def find(self, text: str) -> Overlap | None:
        """Finds a near duplicate of a text, or else a text that shares ``COMMON_RUN`` words in a row with it.

        Returns None if there is none.
        """
        if not self._texts:
            # Most runs have none, and a text's own hashes for this index take a tenth of its screening.
            return None
        if match := self._near.find(text):
            return Overlap(match.text, match.similarity, f"{match.similarity:.2f} like: {match.text}")
        runs = word_runs(text, COMMON_RUN)
        if other := next((self._runs[run] for run in sorted(runs) if run in self._runs), None):
            return Overlap(other, 0.0, f"{COMMON_RUN} words in a row of: {other}")
        return None


def choose_pool(synth_type: SynthType) -> Pool:
    """Returns the pool that the sets of a synth type belong to."""
    return "eval" if synth_type == "enrich" else "train"


def list_other_pool_texts(model: Model, synth_type: SynthType) -> tuple[str, ...]:
    """Lists the texts of the other pool: for ``enrich`` the authored and attached ones, otherwise the held-out ones."""
    if synth_type == "enrich":
        return (*(seed.text for seed in model.authored), *(item.text for item in model.attached))
    return tuple(item.text for item in model.held_out)


def restrict_to_pool(model: Model, synth_type: SynthType) -> Model:
    """Restricts a model to the pool of a synth type: for ``enrich`` to its held-out samples, without the seeds."""
    if synth_type != "enrich":
        return model
    return replace(model, seeds=(), contested=(), attached=model.held_out)


def make_sides_frame(model: Model, synth_type: SynthType, rows: Sequence[Row]) -> pd.DataFrame | None:
    """Makes a frame of the texts of both pools; returns None for a training run if nothing is held out.

    Columns: ``text``; ``subject``, empty if there is no scenario; ``side``, the pool of the text (``train`` or
    ``eval``); ``origin``, which is ``authored``, ``attached`` or ``run``.
    """
    side = choose_pool(synth_type)
    if side == "train" and not model.held_out:
        return None
    authored = [(seed.text, "", "train", "authored") for seed in model.authored]
    attached = [(item.text, item.subject, "train", "attached") for item in model.attached]
    held_out = [(item.text, item.subject, "eval", "attached") for item in model.held_out]
    new = [(row["text"], json.loads(row["scenario"]).get("subject", ""), side, "run") for row in rows]
    return pd.DataFrame([*authored, *attached, *held_out, *new], columns=["text", "subject", "side", "origin"])


def normalise_subject(subject: str) -> str:
    """Returns the form in which subjects are compared, here and in the gate."""
    return normalise(subject)


def exclude_taken_subjects(
    scenario_pool: ScenarioPool, model: Model, synth_type: SynthType, packs: Packs, wanted: int
) -> ScenarioPool:
    """Removes the subjects of the other pool from a scenario pool, for all traits alike.

    ``enrich`` also removes those of its own pool; ``enrich`` and ``diversify`` remove those of the authored texts. If
    fewer than ``wanted`` subjects are left, those of the packs that fit next best are added at the end.
    """
    taken = _list_taken(model, synth_type)
    if not taken:
        return scenario_pool
    tiers = _exclude(scenario_pool.subjects, taken)
    # An author who has given few subjects wants no others as long as any of them is left.
    wanted = 1 if model.scenarios.subjects else wanted
    for name in rank_packs(model, packs):
        if sum(map(len, tiers)) >= wanted:
            break
        known = {normalise_subject(subject) for tier in tiers for subject in tier}
        tiers = (*tiers, *_exclude((packs.packs[name].subjects,), taken | known))
    topic_subjects = {
        key: TopicSubjects(_exclude(found.inside, taken), _exclude(found.outside, taken))
        for key, found in scenario_pool.topic_subjects.items()
    }
    # If a topic has no subject left inside or outside, its pairs share their subject like those of other traits.
    left = {key: found for key, found in topic_subjects.items() if any(found.inside) and any(found.outside)}
    return replace(scenario_pool, subjects=tiers, topic_subjects=left)


def _list_taken(model: Model, synth_type: SynthType) -> frozenset[str]:
    items: Sequence[Attached] = model.held_out
    subjects = [item.subject for item in items]
    if synth_type != "from_traits":
        subjects += name_subjects([seed.text for seed in model.seeds])
    if synth_type == "enrich":
        subjects += [item.subject for item in model.attached]
    return frozenset(normalise_subject(subject) for subject in subjects)


def _exclude(tiers: Sequence[Sequence[str]], taken: frozenset[str] | set[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(subject for subject in tier if normalise_subject(subject) not in taken) for tier in tiers)
