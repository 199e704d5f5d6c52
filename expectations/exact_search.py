"""Finds near duplicates and overlaps exactly, in frames that nobody has searched before.

The frames of a run come searched: ``engine.screening`` and ``engine.asking.held_out`` propose pairs by hashes, which
a million texts need. What reads the sample store by itself, such as a project of ``exemplars gx-context``, has no such
hashes, and neither has the frame of a run's own rows: here every pair is found, among ten thousand texts in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.text.words import APART_JACCARD, COMMON_RUN, shingle, word_runs


@dataclass(frozen=True, slots=True)
class Similar:
    """A text that another one is near to; ``similarity`` is their Jaccard index, in [0, 1]."""

    text: str
    similarity: float


def find_similar(
    texts: Sequence[str], others: Sequence[str], min_jaccard: float, among: bool = False
) -> dict[int, Similar]:
    """Finds for each text the most similar other one from ``min_jaccard`` on, by its position; of equals the first.

    What a text has in common with each of the others is counted by the lists of the texts that each shingle is in.

    Args:
        among: whether a text is also compared with the texts before it.
    """
    every = [*others, *texts]
    sets = [shingle(text) for text in every]
    sizes, numbers = np.array([len(own) for own in sets]), dict[str, int]()
    flat = np.array([numbers.setdefault(item, len(numbers)) for own in sets for item in own], np.int64)
    owners = np.repeat(np.arange(len(sets)), sizes)[np.argsort(flat, kind="stable")]
    lists = np.split(owners, np.cumsum(np.bincount(flat))[:-1])
    found: dict[int, Similar] = {}
    for number, own in enumerate(sets[len(others) :], start=len(others)):
        earlier = number if among else len(others)
        if not own or not earlier:
            continue
        sharing = np.concatenate([lists[numbers[item]] for item in own])
        common = np.bincount(sharing, minlength=earlier)[:earlier]
        similarities = common / (len(own) + sizes[:earlier] - common)
        nearest = int(np.argmax(similarities))
        if similarities[nearest] >= min_jaccard:
            found[number - len(others)] = Similar(every[nearest], float(similarities[nearest]))
    return found


def find_overlaps(texts: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Finds the texts that are near to one of the others, or share ``COMMON_RUN`` words in a row with it.

    Returns:
        What is shared, by text; the same as ``engine.asking.held_out.OverlapIndex`` says.
    """
    others = list(dict.fromkeys(others))
    found = {
        texts[number]: f"{item.similarity:.2f} like: {item.text}"
        for number, item in find_similar(texts, others, APART_JACCARD).items()
    }
    by_run = {run: other for other in others for run in word_runs(other, COMMON_RUN)}
    for text in texts:
        if text not in found and (shared := [run for run in word_runs(text, COMMON_RUN) if run in by_run]):
            found[text] = f"{COMMON_RUN} words in a row of: {by_run[min(shared)]}"
    return found
