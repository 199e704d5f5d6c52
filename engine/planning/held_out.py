"""Keeps the training pool and the held-out pool for evaluation apart, in their texts and in their subjects.

A held-out text that leaks into training spoils every figure that is measured on it, while a rejected candidate costs
one call. So the threshold between the pools is lower than the one for duplicates within a pool.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.domain.model import Model, Pool, SynthType
from engine.domain.samples import Row
from engine.planning.subjects import name_subjects
from engine.text.near_duplicates import Match, NearTexts, choose_nearest
from engine.text.signatures import APART
from engine.text.stored_frames import join_columns, join_origins, join_texts, name_codes, spread
from engine.text.stored_samples import COLUMNS, StoredSamples, as_stored
from engine.text.stored_search import (
    JOINED_TEXTS,
    NO_TEXTS,
    Numbers,
    StoredPair,
    StoredTexts,
    find_nearest,
    match_stored,
    share_runs,
)
from engine.text.words import COMMON_RUN, normalise, word_runs


@dataclass(frozen=True, slots=True)
class Overlap:
    """A text of the other pool that is too similar; ``similarity`` is in [0, 1], ``detail`` says what they share."""

    other: str
    similarity: float
    detail: str


class OverlapIndex:
    """An index of the other pool's texts, which finds the one that a new text overlaps with.

    Args:
        texts: those in memory, which grows with them.
        stored: those in the store.
    """

    def __init__(self, texts: Iterable[str], stored: StoredTexts = NO_TEXTS) -> None:
        self._stored = stored
        self._near = NearTexts(APART.nearness)
        self._runs: dict[tuple[str, ...], str] = {}
        self._texts = tuple(dict.fromkeys(texts))
        for number, text in enumerate(self._texts):
            self._near.add(str(number), text)
            self._runs.update(dict.fromkeys(word_runs(text, COMMON_RUN), text))

    def find(self, text: str) -> Overlap | None:
        """Finds a near duplicate of a text, or else a text that shares ``COMMON_RUN`` words in a row with it.

        Returns None if there is none.
        """
        return self.find_all([text]).get(text)

    def find_all(self, texts: Sequence[str]) -> dict[str, Overlap]:
        """Finds for each text what ``find`` does, of all of them at once; texts without an overlap are left out."""
        found: dict[str, Overlap] = {}
        if not self._texts and not len(self._stored):
            # Most runs have none, and a text's own hashes for this index take a tenth of its screening.
            return found
        near = find_nearest(texts, self._stored, APART)
        for text in texts:
            if match := choose_nearest(self._near.find(text) if self._texts else None, near.get(text)):
                found[text] = make_overlap(match)
        rest = [text for text in texts if text not in found]
        stored: dict[str, dict[tuple[str, ...], str]] = {}
        for item in share_runs(rest, self._stored):
            stored.setdefault(rest[item.query], {}).update(dict.fromkeys(item.runs, item.text))
        for text in rest:
            # Of several texts with a run the last one is named, and those in the store come last.
            others = {run: self._runs[run] for run in word_runs(text, COMMON_RUN) if run in self._runs}
            others |= stored.get(text, {})
            if others:
                found[text] = make_run_overlap(others[min(others)])
        return found


def make_overlap(match: Match) -> Overlap:
    """Makes the overlap of a text with one that it is near to."""
    return Overlap(match.text, match.similarity, f"{match.similarity:.2f} like: {match.text}")


def make_run_overlap(other: str) -> Overlap:
    """Makes the overlap of a text with one that has a run of its words."""
    return Overlap(other, 0.0, f"{COMMON_RUN} words in a row of: {other}")


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


def make_sides_frame(model: Model, synth_type: SynthType, rows: Sequence[Row]) -> pd.DataFrame | None:
    """Makes a frame of the texts of both pools; returns None for a training run if nothing is held out.

    Columns: ``text``; ``subject``, empty if there is no scenario; ``side``, the pool of the text (``train`` or
    ``eval``); ``origin``, which is ``authored``, ``attached`` or ``run``; ``overlap``, what a row shares with the other
    side, or null. Of attached rows only those that share something have their text, the others ``STORED_TEXT``.
    """
    side = choose_pool(synth_type)
    if side == "train" and not model.held_out:
        return None
    authored = [seed.text for seed in model.authored]
    attached, held_out = as_stored(model.attached), as_stored(model.held_out)
    texts = [str(row["text"]) for row in rows]
    others = OverlapIndex(*list_other_pool_texts(model, synth_type))
    begins, ends = len(authored) + len(attached), len(authored) + len(attached) + len(held_out)
    old = {begins + row: found for row, found in find_old_overlaps(authored, attached, held_out).items()}
    new = others.find_all(texts)
    overlaps = {number: overlap.detail for number, (_, overlap) in old.items()}
    overlaps |= {ends + number: new[text].detail for number, text in enumerate(texts) if text in new}
    stored = {number: text for number, (text, _) in old.items()}
    subjects = pa.chunked_array(
        [*attached.columns["subject"].chunks, *held_out.columns["subject"].chunks], COLUMNS.field("subject").type
    )
    counts = [begins, len(held_out), len(rows)]
    return pd.DataFrame(
        {
            "text": join_texts(authored, len(subjects), stored, [row["text"] for row in rows]),
            "subject": join_columns(
                [""] * len(authored), subjects, [json.loads(row["scenario"]).get("subject", "") for row in rows]
            ),
            "side": name_codes(np.repeat([0, 1, ["train", "eval"].index(side)], counts), ["train", "eval"]),
            "origin": join_origins(len(authored), len(subjects), len(rows)),
            "overlap": spread(overlaps, ends + len(rows)),
        }
    )


def find_old_overlaps(
    authored: Sequence[str], attached: StoredSamples, held_out: StoredSamples
) -> dict[int, tuple[str, Overlap]]:
    """Finds the held-out texts that overlap with an authored or an attached one: text and overlap by their position.

    Stored sets that a gate has held against each other have no overlap; of the others it is found once, and kept.
    """
    near: dict[int, tuple[str, Match]] = {}
    runs: dict[int, tuple[str, dict[tuple[str, ...], str]]] = {}
    unique = list(dict.fromkeys(authored))
    for item in match_stored(unique, held_out.texts, APART):
        match = Match(str(item.query), unique[item.query], item.similarity)
        near[item.row] = item.text, choose_nearest(near.get(item.row, ("", None))[1], match) or match
    for shared in share_runs(unique, held_out.texts):
        own = runs.setdefault(shared.row, (shared.text, {}))[1]
        own |= dict.fromkeys(shared.runs, unique[shared.query])
    found = {row: (text, make_overlap(match)) for row, (text, match) in near.items()}
    for row, (text, others) in runs.items():
        found.setdefault(row, (text, make_run_overlap(others[min(others)])))
    for row, text, other, similarity in held_out.texts.recall_pairs("overlaps", attached.texts, find_stored_overlaps):
        overlap = make_overlap(Match("", other, similarity)) if similarity else make_run_overlap(other)
        if row not in found or similarity > found[row][1].similarity:
            found[row] = text, overlap
    return found


def find_stored_overlaps(texts: StoredTexts, others: StoredTexts, _: Numbers) -> list[StoredPair]:
    """Finds the stored texts that overlap with other stored ones: position, text, other text, and their similarity."""
    pairs: list[StoredPair] = []
    index = OverlapIndex((), others)
    for begins in range(0, len(texts), JOINED_TEXTS):
        read = texts.read(np.arange(begins, min(begins + JOINED_TEXTS, len(texts))))
        found = index.find_all(list(dict.fromkeys(read.values())))
        pairs += [(row, text, found[text].other, found[text].similarity) for row, text in read.items() if text in found]
    return pairs


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
