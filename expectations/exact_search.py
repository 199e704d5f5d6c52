"""Finds near duplicates exactly, among rows that nobody has searched before.

The frames that hold stored samples come searched (``expectations.frames``): ``engine.screening`` proposes pairs by
hashes, which a million texts need. Of a run's own rows every pair is found here, among ten thousand texts in seconds.
"""

from collections.abc import Sequence

import numpy as np

from engine.text.words import shingle


def find_near_pairs(texts: Sequence[str], min_jaccard: float) -> list[tuple[str, str, float]]:
    """Finds for each text the most similar one before it from ``min_jaccard`` on; of equals the first.

    What a text has in common with each of the others is counted by the lists of the texts that each shingle is in.

    Returns:
        The text, the one before it, and their Jaccard index in [0, 1].
    """
    sets = [shingle(text) for text in texts]
    sizes, numbers = np.array([len(own) for own in sets]), dict[str, int]()
    flat = np.array([numbers.setdefault(item, len(numbers)) for own in sets for item in own], np.int64)
    owners = np.repeat(np.arange(len(sets)), sizes)[np.argsort(flat, kind="stable")]
    lists = np.split(owners, np.cumsum(np.bincount(flat))[:-1])
    pairs = []
    for number, own in enumerate(sets):
        if not own or not number:
            continue
        sharing = np.concatenate([lists[numbers[item]] for item in own])
        common = np.bincount(sharing, minlength=number)[:number]
        similarities = common / (len(own) + sizes[:number] - common)
        nearest = int(np.argmax(similarities))
        if similarities[nearest] >= min_jaccard:
            pairs.append((texts[number], texts[nearest], float(similarities[nearest])))
    return pairs
