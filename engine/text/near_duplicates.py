"""Find near duplicates: MinHash proposes pairs, the exact Jaccard index of character 5-grams decides.

Screening uses it against seeds and earlier texts, the gate over whole sets (docs/decisions/005-duplicates.md). A set
stores signatures of its texts: a byte for each MinHash, and a hash for each run of words. Two texts with the same
MinHash have the same byte, so whatever full hashes would propose, bytes propose too; of other texts one pair of bytes
in 256 is the same.
"""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pyarrow as pa
from rensa import RMinHash, RMinHashLSH

from engine.text.words import APART_JACCARD, COMMON_RUN, normalise, shingle, word_runs

# The hashes' own estimate of the index has a standard deviation of .04: a pair whose estimate lies this far below the
# threshold is not worth the exact comparison.
ESTIMATE_ERROR = 0.2
HASH_SEED = 42
# Raised with every change of the normal form, the shingles, the hashes or their columns.
HASHES_VERSION = 2
_SIGN_TEXTS = 2_000

HashColumn = Literal["signature", "runs"]
Signatures = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Nearness:
    """The Jaccard index from which texts are near, and the bands of their hashes that propose such pairs.

    With b bands of r hashes, a pair of index s is proposed with probability 1 - (1 - s^r)^b.
    """

    jaccard: float
    bands: int

    @property
    def min_estimate(self) -> float:
        """The estimate by the hashes from which a pair is compared exactly."""
        return self.jaccard - ESTIMATE_ERROR


# Published thresholds lie between .7 and .8 (FineWeb: 5-grams, 14 × 8 hashes; NeMo Curator: .8). A pair with Jaccard
# index .7 is proposed with probability .99, one with .3 with .06; bands of 8 hashes would miss two of five pairs at .7.
PERMUTATIONS = 120
NEAR = Nearness(jaccard=0.7, bands=24)
APART = Nearness(jaccard=APART_JACCARD, bands=40)
RUNS = pa.field("runs", pa.list_(pa.field("item", pa.uint32(), nullable=False)), nullable=False)
# The hashes of a set.
HASHES_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("signature", pa.binary(PERMUTATIONS), nullable=False),
        RUNS,
    ],
    {"hashes_version": str(HASHES_VERSION), "algorithm": str(RMinHash.ALGORITHM_VERSION)},
)


@dataclass(frozen=True, slots=True)
class Match:
    """An earlier text that a new one is too similar to.

    ``similarity`` is the Jaccard index in [0, 1], where 1 is a duplicate, or 0 for ``COMMON_RUN`` words in common.
    """

    text: str
    similarity: float

    @property
    def exact(self) -> bool:
        """Return whether the two texts have the same normal form."""
        return self.similarity == 1.0

    @property
    def detail(self) -> str:
        """What they share, in words."""
        how = f"{self.similarity:.2f} like" if self.similarity else f"{COMMON_RUN} words in a row of"
        return f"{how}: {self.text}"


class NearTexts:
    """An index of texts that grows one text at a time and finds near duplicates; memory grows with the texts."""

    def __init__(self, nearness: Nearness = NEAR) -> None:
        self._nearness = nearness
        self._lsh = RMinHashLSH(nearness.jaccard, PERMUTATIONS, nearness.bands)
        self._texts: list[str] = []
        self._hashes: list[RMinHash] = []
        self._exact: dict[str, int] = {}

    def add(self, text: str) -> None:
        """Add a text to the index."""
        number = len(self._texts)
        self._texts.append(text)
        self._exact.setdefault(normalise(text), number)
        self._hashes.append(_hash(text))
        self._lsh.insert(number, self._hashes[number])

    def find(self, text: str) -> Match | None:
        """Find the most similar text of the index that is a duplicate or near duplicate; None if there is none."""
        number = self._exact.get(normalise(text))
        if number is not None:
            return Match(self._texts[number], 1.0)
        own = _hash(text)
        least = self._nearness.min_estimate
        proposed = [other for other in self._lsh.query(own) if own.jaccard(self._hashes[other]) >= least]
        shingles = shingle(text)
        found = [(jaccard(shingles, shingle(self._texts[other])), -other) for other in proposed]
        similarity, negated = max(found, default=(0.0, 0))
        if similarity < self._nearness.jaccard:
            return None
        # Texts of the same shingles in another order are near duplicates, not the same text.
        return Match(self._texts[-negated], min(similarity, 0.999))


def choose_nearest(*matches: Match | None) -> Match | None:
    """Choose the most similar of some matches, of equals the first."""
    return max((match for match in matches if match), key=lambda match: match.similarity, default=None)


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the Jaccard index of two sets, in [0, 1]: the size of their intersection over that of their union."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def find_pairs(texts: Iterable[str], nearness: Nearness = NEAR) -> list[tuple[int, Match]]:
    """Find each text that is a duplicate or near duplicate of an earlier one: its position, and the earlier text."""
    seen = NearTexts(nearness)
    pairs = []
    for number, text in enumerate(texts):
        if match := seen.find(text):
            pairs.append((number, match))
        seen.add(text)
    return pairs


def sign(texts: Sequence[str]) -> Signatures:
    """Return a row of ``PERMUTATIONS`` bytes for each text."""
    parts = [np.empty((0, PERMUTATIONS), np.uint8)]
    for start in range(0, len(texts), _SIGN_TEXTS):
        shingles = [list(shingle(text)) for text in texts[start : start + _SIGN_TEXTS]]
        rows = RMinHash.digest_matrix_from_token_sets(shingles, PERMUTATIONS, HASH_SEED).to_rows()
        parts.append((np.asarray(rows, np.uint32) & 0xFF).astype(np.uint8))
    return np.concatenate(parts)


def hash_form(text: str) -> int:
    """Return a hash of 64 bits for the normal form of a text: of a million none is the same by chance."""
    return int.from_bytes(hashlib.sha256(normalise(text).encode()).digest()[:8])


def hash_runs(text: str) -> list[int]:
    """Return a hash of 32 bits for each run of ``COMMON_RUN`` words of a text, sorted."""
    return sorted({zlib.crc32("\0".join(run).encode()) for run in word_runs(text, COMMON_RUN)})


def make_hash_column(texts: Sequence[str], column: HashColumn) -> pa.Array:
    """Make one column of the hashes of texts, one row for each, in order."""
    if column == "runs":
        return pa.array([hash_runs(text) for text in texts], RUNS.type)
    content = pa.py_buffer(sign(texts))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(PERMUTATIONS), len(texts), [None, content])


def read_signatures(column: pa.Array) -> Signatures:
    """Return the signatures of a ``signature`` column, without copying them."""
    begins, size = column.offset * PERMUTATIONS, len(column) * PERMUTATIONS
    found = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return found[begins : begins + size].reshape(len(column), PERMUTATIONS)


@lru_cache(maxsize=64)
def _hash(text: str) -> RMinHash:
    """Cached, since a text is looked up among the seeds, then among earlier texts, and is then added."""
    minhash = RMinHash(PERMUTATIONS, HASH_SEED)
    # In sorted order, so that nothing depends on the order of a set.
    minhash.update(sorted(shingle(text)))
    return minhash
