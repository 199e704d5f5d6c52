"""Finds near duplicates: MinHash proposes pairs, the exact Jaccard index of character 5-grams decides.

Screening uses it against seeds and earlier texts, the gate over whole sets (docs/decisions/005-duplicates.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rensa import RMinHash, RMinHashLSH

from engine.text.signatures import HASH_SEED, NEAR, Nearness
from engine.text.words import normalise, shingle


@dataclass(frozen=True, slots=True)
class Match:
    """An earlier text, too similar to a new one. ``similarity`` is the Jaccard index in [0, 1]; 1 is a duplicate."""

    key: str
    text: str
    similarity: float

    @property
    def exact(self) -> bool:
        """Whether the two texts have the same normal form."""
        return self.similarity == 1.0


class NearTexts:
    """An index of texts that grows one text at a time and finds near duplicates; memory grows with the texts."""

    def __init__(self, nearness: Nearness = NEAR.nearness) -> None:
        self._nearness = nearness
        self._lsh = RMinHashLSH(nearness.jaccard, nearness.permutations, nearness.bands)
        self._texts: list[tuple[str, str]] = []
        self._hashes: list[RMinHash] = []
        self._exact: dict[str, int] = {}

    def add(self, key: str, text: str) -> None:
        """Adds a text to the index; ``key`` says where it came from."""
        number = len(self._texts)
        self._texts.append((key, text))
        self._exact.setdefault(normalise(text), number)
        self._hashes.append(_hash(text, self._nearness.permutations))
        self._lsh.insert(number, self._hashes[number])

    def find(self, text: str) -> Match | None:
        """Finds the most similar text of the index that is a duplicate or near duplicate; None if there is none."""
        number = self._exact.get(normalise(text))
        if number is not None:
            key, same = self._texts[number]
            return Match(key, same, 1.0)
        own = _hash(text, self._nearness.permutations)
        least = self._nearness.min_estimate
        proposed = [other for other in self._lsh.query(own) if own.jaccard(self._hashes[other]) >= least]
        if not proposed:
            return None
        shingles = shingle(text)
        found = [(jaccard(shingles, shingle(self._texts[other][1])), other) for other in proposed]
        near = [(similarity, -other) for similarity, other in found if similarity >= self._nearness.jaccard]
        if not near:
            return None
        similarity, negated = max(near)
        # Texts of the same shingles in another order are near duplicates, not the same text.
        key, nearest = self._texts[-negated]
        return Match(key, nearest, min(similarity, 0.999))


def choose_nearest(*matches: Match | None) -> Match | None:
    """Chooses the most similar of some matches, of equals the first."""
    return max((match for match in matches if match), key=lambda match: match.similarity, default=None)


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Returns the Jaccard index of two sets, in [0, 1]: the size of their intersection over that of their union."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def find_pairs(texts: Iterable[tuple[str, str]], nearness: Nearness = NEAR.nearness) -> list[tuple[str, Match]]:
    """Finds each text that is a duplicate or near duplicate of an earlier one: its key, and the earlier text.

    Args:
        texts: pairs of a key and a text, in order.
    """
    seen = NearTexts(nearness)
    pairs = []
    for key, text in texts:
        if match := seen.find(text):
            pairs.append((key, match))
        seen.add(key, text)
    return pairs


@lru_cache(maxsize=64)
def _hash(text: str, permutations: int) -> RMinHash:
    """Cached, since a text is looked up among the seeds, then among earlier texts, and is then added."""
    minhash = RMinHash(permutations, HASH_SEED)
    # In sorted order, so that nothing depends on the order of a set.
    minhash.update(sorted(shingle(text)))
    return minhash
