"""Near duplicates: MinHash proposes, the exact Jaccard index of character 5-grams decides (docs/decisions/000)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from rensa import RMinHash, RMinHashLSH

from engine.text.words import normalise, shingle

# Published practice lies between .7 and .8 (FineWeb: 5-grams, 14 × 8 hashes; NeMo Curator: .8).
NEAR_DUPLICATE_JACCARD = 0.7
# A pair of index s is proposed with probability 1 - (1 - s^5)^25: .99 at .7, .06 at .3. Bands of 8 hashes would pass
# over two of five pairs at .7, in the screen and in the gate alike.
PERMUTATIONS = 125
BANDS = 25
# The hashes' own estimate of the index has a deviation of .04: so far below a pair is not worth the exact look.
ESTIMATE_ERROR = 0.2
HASH_SEED = 42


@dataclass(frozen=True, slots=True)
class Nearness:
    """From which Jaccard index on texts are near, and the hashes and bands that propose such pairs.

    A pair of index s is proposed with probability 1 - (1 - s^r)^b, of b bands of r hashes.
    """

    jaccard: float = NEAR_DUPLICATE_JACCARD
    permutations: int = PERMUTATIONS
    bands: int = BANDS

    @property
    def min_estimate(self) -> float:
        """The hashes' own estimate from which on a pair is worth the exact look."""
        return self.jaccard - ESTIMATE_ERROR


@dataclass(frozen=True, slots=True)
class Match:
    """An earlier text that a text is too near to. ``similarity`` is the Jaccard index in [0, 1]; 1 is a duplicate."""

    key: str
    text: str
    similarity: float

    @property
    def exact(self) -> bool:
        """Whether the two are the same in their normal form."""
        return self.similarity == 1.0


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """A text that was rejected because it is too near to another. ``similarity`` is a Jaccard index in [0, 1]."""

    reason: str
    trait: str
    text: str
    other: str
    similarity: float


class NearTexts:
    """Texts taken in one after another, each comparable with all before it; memory grows with the texts."""

    def __init__(self, nearness: Nearness = Nearness()) -> None:
        self._nearness = nearness
        self._lsh = RMinHashLSH(nearness.jaccard, nearness.permutations, nearness.bands)
        self._texts: list[tuple[str, str]] = []
        self._hashes: list[RMinHash] = []
        self._exact: dict[str, int] = {}

    def add(self, key: str, text: str) -> None:
        """Takes a text in; ``key`` says where it came from."""
        number = len(self._texts)
        self._texts.append((key, text))
        self._exact.setdefault(normalise(text), number)
        self._hashes.append(_hash(text, self._nearness.permutations))
        self._lsh.insert(number, self._hashes[number])

    def find(self, text: str) -> Match | None:
        """The nearest text taken in before that is a duplicate or a near duplicate; None where there is none."""
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


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of what two sets have in common, in [0, 1]."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def find_pairs(texts: Iterable[tuple[str, str]]) -> list[tuple[str, Match]]:
    """Every text, by its key, that is a duplicate or near duplicate of one before it, and that one."""
    seen = NearTexts()
    pairs = []
    for key, text in texts:
        if match := seen.find(text):
            pairs.append((key, match))
        seen.add(key, text)
    return pairs


@lru_cache(maxsize=64)
def _hash(text: str, permutations: int) -> RMinHash:
    """Kept for a moment, since a text is looked for among seeds, then among its like, and then added."""
    minhash = RMinHash(permutations, HASH_SEED)
    # In sorted order, so that nothing depends on the order of a set.
    minhash.update(sorted(shingle(text)))
    return minhash
