"""Held out: texts and subjects on the two sides of the line between training and evaluation, kept apart.

A held-out text that leaks into training spoils every figure that is measured on it, and a rejected candidate costs one
call. So what is near across the line is more than what is a duplicate on one side of it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from engine.domain.model import Attached, Model, Pool, SynthType
from engine.domain.samples import Row
from engine.planning.scenarios import Packs, ScenarioPool, TopicSubjects, rank_packs
from engine.planning.subjects import name_subjects
from engine.text.near_duplicates import Nearness, NearTexts
from engine.text.words import normalise, word_runs

# An authored text with every eighth word replaced is at .7 found in 35 of 100 cases, one with every fourth replaced at
# .4 in 90; of 58,992 pairs of different authored texts the nearest has .25 (docs/decisions/012-strategies.md).
MIN_JACCARD = 0.4
# A run of 8 words in common is what PaLM counts as contamination (Chowdhery et al. 2022, section 8).
COMMON_RUN = 8


@dataclass(frozen=True, slots=True)
class Overlap:
    """A text from across the line that is too near; ``similarity`` is in [0, 1], ``detail`` says by what it is near."""

    other: str
    similarity: float
    detail: str


class OverlapIndex:
    """Texts from the other side of the line, to hold new ones against; memory grows with the texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._near = NearTexts(Nearness(MIN_JACCARD, permutations=126, bands=42))
        self._runs: dict[tuple[str, ...], str] = {}
        for number, text in enumerate(dict.fromkeys(texts)):
            self._near.add(str(number), text)
            self._runs.update(dict.fromkeys(word_runs(text, COMMON_RUN), text))

    def find(self, text: str) -> Overlap | None:
        """The text that this one is too near to; None where there is none."""
        if match := self._near.find(text):
            return Overlap(match.text, match.similarity, f"{match.similarity:.2f} like: {match.text}")
        runs = word_runs(text, COMMON_RUN)
        if other := next((self._runs[run] for run in sorted(runs) if run in self._runs), None):
            return Overlap(other, 0.0, f"{COMMON_RUN} words in a row of: {other}")
        return None


def choose_pool(synth_type: SynthType) -> Pool:
    """The pool that a synth type's sets belong to."""
    return "eval" if synth_type == "enrich" else "train"


def list_other_pool_texts(model: Model, synth_type: SynthType) -> tuple[str, ...]:
    """The texts that a run's own may not be near to: for ``enrich`` the authored and attached, else the held-out."""
    if synth_type == "enrich":
        return (*(seed.text for seed in model.seeds), *(item.text for item in model.attached))
    return tuple(item.text for item in model.held_out)


def restrict_to_pool(model: Model, synth_type: SynthType) -> Model:
    """The model as its pool has it: for ``enrich`` what is held out in place of what is authored and attached."""
    if synth_type != "enrich":
        return model
    return replace(model, seeds=(), attached=model.held_out)


def make_sides_frame(model: Model, synth_type: SynthType, rows: Sequence[Row]) -> pd.DataFrame | None:
    """All texts of both sides; None for training where nothing is held out.

    Columns: ``text``; ``subject``, empty where there is no scenario; ``side``, the pool that a text is for; ``origin``,
    which is ``authored``, ``attached`` or ``run``.
    """
    side = choose_pool(synth_type)
    if side == "train" and not model.held_out:
        return None
    authored = [(seed.text, "", "train", "authored") for seed in model.seeds]
    attached = [(item.text, item.subject, "train", "attached") for item in model.attached]
    held_out = [(item.text, item.subject, "eval", "attached") for item in model.held_out]
    new = [(row["text"], json.loads(row["scenario"]).get("subject", ""), side, "run") for row in rows]
    return pd.DataFrame([*authored, *attached, *held_out, *new], columns=["text", "subject", "side", "origin"])


def normalise_subject(subject: str) -> str:
    """The form in which subjects are compared, here and in the gate."""
    return normalise(subject)


def exclude_taken_subjects(
    scenario_pool: ScenarioPool, model: Model, synth_type: SynthType, packs: Packs, wanted: int
) -> ScenarioPool:
    """The lists without the subjects from across the line, whatever the trait.

    ``enrich`` also leaves out its own pool's and, like ``diversify``, those that the authored texts are about. Where
    fewer than ``wanted`` are left, the packs that fit next best are added behind.
    """
    taken = _list_taken(model, synth_type)
    if not taken:
        return scenario_pool
    tiers = _exclude(scenario_pool.subjects, taken)
    for name in rank_packs(model, packs):
        if sum(map(len, tiers)) >= wanted:
            break
        known = {normalise_subject(subject) for tier in tiers for subject in tier}
        tiers = (*tiers, *_exclude((packs.packs[name].subjects,), taken | known))
    topic_subjects = {
        key: TopicSubjects(_exclude(found.inside, taken), _exclude(found.outside, taken))
        for key, found in scenario_pool.topic_subjects.items()
    }
    # Where a topic has no subject left on one of its sides, its poles share one again.
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
