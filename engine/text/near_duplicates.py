"""Find near duplicates: MinHash proposes pairs, and the exact Jaccard index of character 5-grams decides.

Screening compares texts with seeds and earlier texts, and the gate compares all texts of a set
(docs/decisions/005-duplicates.md). A set stores signatures of its texts: a byte for each MinHash, and a hash for each
run of words. Texts with equal MinHashes have equal bytes, so bytes propose all pairs that full hashes would propose.
Different MinHashes have equal bytes in one of 256 cases.
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

# The hashes estimate the index with a standard deviation of .04. If an estimate lies this far below the threshold, the
# pair is not compared exactly.
ESTIMATE_ERROR = 0.2
HASH_SEED = 42
# Increase this with every change of the normal form, the shingles, the hashes or their columns.
HASHES_VERSION = 2
_SIGN_TEXTS = 2_000

HashColumn = Literal["signature", "runs"]
Signatures = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Nearness:
    """The minimum Jaccard index of near texts, and the number of bands of hashes that propose near pairs.

    With b bands of r hashes, a pair with index s is proposed with probability 1 - (1 - s^r)^b.
    """

    jaccard: float
    bands: int

    @property
    def min_estimate(self) -> float:
        """Return the minimum estimate, by the hashes, for the exact comparison of a pair."""
        return self.jaccard - ESTIMATE_ERROR


# Published thresholds lie between .7 and .8 (FineWeb: 5-grams, 14 × 8 hashes; NeMo Curator: .8). A pair with Jaccard
# index .7 is proposed with probability .99, at .3 with .06. Bands of 8 hashes would miss two of five pairs at .7.
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
    """An earlier text to which a new text is too similar.

    ``similarity`` is the Jaccard index in [0, 1]; 1 is a duplicate, and 0 means ``COMMON_RUN`` words in common.
    """

    text: str
    similarity: float

    @property
    def exact(self) -> bool:
        """Return whether the two texts have the same normal form."""
        return self.similarity == 1.0

    @property
    def detail(self) -> str:
        """Describe the match of the two texts."""
        how = f"{self.similarity:.2f} like" if self.similarity else f"{COMMON_RUN} words in a row of"
        return f"{how}: {self.text}"


class NearTexts:
    """An index of texts that finds near duplicates. Texts are added one at a time; memory grows with their number."""

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
        """Return the most similar duplicate or near duplicate of a text in the index; None if there is none."""
        number = self._exact.get(normalise(text))
        if number is not None:
            return Match(self._texts[number], 1.0)
        hashes = _hash(text)
        least = self._nearness.min_estimate
        proposed = [other for other in self._lsh.query(hashes) if hashes.jaccard(self._hashes[other]) >= least]
        shingles = shingle(text)
        ranked = [(jaccard(shingles, shingle(self._texts[other])), -other) for other in proposed]
        similarity, negated = max(ranked, default=(0.0, 0))
        if similarity < self._nearness.jaccard:
            return None
        # Texts with the same shingles in a different order are near duplicates, not the same text.
        return Match(self._texts[-negated], min(similarity, 0.999))


def choose_nearest(*matches: Match | None) -> Match | None:
    """Return the most similar of the matches; among equals, the first."""
    return max((match for match in matches if match), key=lambda match: match.similarity, default=None)


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the Jaccard index of two sets, in [0, 1]: the size of their intersection over the size of their union."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def find_pairs(texts: Iterable[str], nearness: Nearness = NEAR) -> list[tuple[int, Match]]:
    """Find the texts that duplicate, or nearly duplicate, an earlier text: the position, and the earlier text."""
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
    """Return a hash of 64 bits of a text's normal form. No two of a million texts have the same hash by chance."""
    return int.from_bytes(hashlib.sha256(normalise(text).encode()).digest()[:8])


def hash_runs(text: str) -> list[int]:
    """Return the sorted hashes of 32 bits of all runs of ``COMMON_RUN`` words in a text."""
    return sorted({zlib.crc32("\0".join(run).encode()) for run in word_runs(text, COMMON_RUN)})


def make_hash_column(texts: Sequence[str], column: HashColumn) -> pa.Array:
    """Return one column of the hashes of texts, with one row per text, in order."""
    if column == "runs":
        return pa.array([hash_runs(text) for text in texts], RUNS.type)
    content = pa.py_buffer(sign(texts))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(PERMUTATIONS), len(texts), [None, content])


def read_signatures(column: pa.Array) -> Signatures:
    """Return the signatures of a ``signature`` column, without copying them."""
    begins, size = column.offset * PERMUTATIONS, len(column) * PERMUTATIONS
    content = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return content[begins : begins + size].reshape(len(column), PERMUTATIONS)


@lru_cache(maxsize=64)
def _hash(text: str) -> RMinHash:
    """Return a text's MinHashes, cached: each text is looked up in the seeds and in earlier texts, and then added."""
    minhash = RMinHash(PERMUTATIONS, HASH_SEED)
    # Sorted, so that nothing depends on the order of a set.
    minhash.update(sorted(shingle(text)))
    return minhash
