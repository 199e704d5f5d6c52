"""Finds what the gate asks for: the rows that are near duplicates, of a run's against all and of the older ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.domain.model import Seed
from engine.text.near_duplicates import Match, NearTexts, choose_nearest, find_pairs
from engine.text.signatures import NEAR
from engine.text.stored_frames import spread
from engine.text.stored_samples import StoredSamples
from engine.text.stored_search import (
    Numbers,
    StoredPair,
    StoredTexts,
    find_nearest,
    find_pairs_within,
    match_stored,
)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A row's text and the earlier text that it is near to; ``similarity`` is the Jaccard index, in [0, 1]."""

    text: str
    other: str
    similarity: float


def find_new_neighbours(texts: Sequence[str], authored: Sequence[str], attached: StoredSamples) -> dict[int, Neighbour]:
    """Finds the new texts that are near to an authored, an attached or an earlier new one, whatever their traits."""
    old, new = NearTexts(), NearTexts()
    for text in authored:
        old.add("authored", text)
    stored = find_nearest(texts, attached.texts)
    found = {}
    for number, text in enumerate(texts):
        if match := choose_nearest(old.find(text), stored.get(text), new.find(text)):
            found[number] = Neighbour(text, match.text, match.similarity)
        new.add("run", text)
    return found


def find_old_neighbours(authored: Sequence[Seed], attached: StoredSamples) -> Iterator[tuple[int, Neighbour]]:
    """Yields the authored and attached texts that are near to an earlier one of their trait, by their position.

    Authored texts come first. Attached ones are held against each other only if no gate has done so, and once.
    """
    traits: dict[str, list[int]] = {}
    for number, seed in enumerate(authored):
        traits.setdefault(seed.trait, []).append(number)
    for numbers in traits.values():
        for key, match in find_pairs((str(number), authored[number].text) for number in numbers):
            yield int(key), Neighbour(authored[int(key)].text, match.text, match.similarity)
    best: dict[int, tuple[str, Match]] = {}
    for item in match_stored([seed.text for seed in authored], attached.texts, NEAR):
        if attached.columns["trait"][item.row].as_py() == authored[item.query].trait:
            match = Match("authored", authored[item.query].text, item.similarity)
            best[item.row] = item.text, choose_nearest(best.get(item.row, ("", None))[1], match) or match

    def find_stored(texts: StoredTexts, _: StoredTexts, rows: Numbers) -> list[StoredPair]:
        return find_pairs_within(texts, attached.read_traits()[rows])

    for row, text, other, similarity in attached.texts.recall_pairs("duplicates", attached.texts, find_stored):
        match = Match("attached", other, similarity)
        best[row] = text, choose_nearest(best.get(row, ("", None))[1], match) or match
    for row, (text, match) in best.items():
        yield len(authored) + row, Neighbour(text, match.text, match.similarity)


def add_neighbours(frame: pd.DataFrame, near: Mapping[int, Neighbour]) -> pd.DataFrame:
    """Adds the columns ``near`` and ``similarity``, by the rows' positions."""
    similarity = np.zeros(len(frame))
    for number, item in near.items():
        similarity[number] = item.similarity
    return frame.assign(
        near=spread({number: item.other for number, item in near.items()}, len(frame)), similarity=similarity
    )
