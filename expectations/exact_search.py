"""Finds near duplicates and overlaps exactly, in frames that nobody has searched before.

The frames of a run come searched: ``engine.screening`` and ``engine.planning.held_out`` propose pairs by hashes, which
a million texts need. What reads the sample store by itself, such as a project of ``exemplars gx-context``, has no such
hashes: here every pair is found, by Python alone, among some ten thousand texts in seconds.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from engine.text.words import APART_JACCARD, COMMON_RUN, shingle, word_runs

# What floating point may add to a product: 0.7 * 30 must not need 22 of 30 shingles.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Similar:
    """A text that another one is near to; ``similarity`` is their Jaccard index, in [0, 1]."""

    text: str
    similarity: float


def find_similar(
    texts: Sequence[str], others: Sequence[str], min_jaccard: float, among: bool = False
) -> dict[int, Similar]:
    """Finds for each text the most similar other one from ``min_jaccard`` on, by the text's position.

    All shingles are put in one order, the rarest first. Two sets of n and m shingles with a Jaccard index of t or more
    have t * max(n, m) in common, so they share one of the first n - t * n + 1 of the one and m - t * m + 1 of the other
    (prefix filtering: Chaudhuri et al. 2006, Bayardo et al. 2007). Only such pairs are compared.

    Args:
        among: whether a text is also compared with the texts before it.
    """
    every = [*others, *texts]
    sets = [shingle(text) for text in every]
    frequency = Counter(chain.from_iterable(sets))
    by_shingle: dict[str, list[int]] = {}
    found: dict[int, Similar] = {}
    for number, own in enumerate(sets):
        least = math.ceil(min_jaccard * len(own) - ROUNDING)
        rarest = sorted(own, key=lambda item: (frequency[item], item))[: len(own) - least + 1]
        if number >= len(others):
            near = [
                (similarity, -other)
                for other in {other for item in rarest for other in by_shingle.get(item, ())}
                if (similarity := _measure_jaccard(own, sets[other])) >= min_jaccard
            ]
            if near:
                similarity, negated = max(near)
                found[number - len(others)] = Similar(every[-negated], similarity)
        if among or number < len(others):
            for item in rarest:
                by_shingle.setdefault(item, []).append(number)
    return found


def find_overlaps(texts: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Finds the texts that are near to one of the others, or share ``COMMON_RUN`` words in a row with it.

    Returns:
        What is shared, by text; the same as ``engine.planning.held_out.OverlapIndex`` says.
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


def _measure_jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)
