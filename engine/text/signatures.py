"""Signs texts: a byte for each MinHash of a text, and a hash for each run of words, as arrays that a set can store.

Two texts with the same MinHash have the same byte, so whatever full hashes would propose, bytes propose too; of other
texts one pair of bytes in 256 is the same.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from rensa import RMinHash

from engine.text.words import APART_JACCARD, COMMON_RUN, shingle, word_runs

# Published thresholds lie between .7 and .8 (FineWeb: 5-grams, 14 × 8 hashes; NeMo Curator: .8).
NEAR_DUPLICATE_JACCARD = 0.7
# A pair with Jaccard index s is proposed with probability 1 - (1 - s^5)^25: .99 at .7, .06 at .3. Bands of 8 hashes
# would miss two of five pairs at .7, in screening and in the gate alike.
PERMUTATIONS = 125
BANDS = 25
# The hashes' own estimate of the index has a standard deviation of .04: a pair whose estimate lies this far below the
# threshold is not worth the exact comparison.
ESTIMATE_ERROR = 0.2
HASH_SEED = 42
# Raised with every change of the normal form, the shingles, the hashes or their columns.
HASHES_VERSION = 1
_SIGN_TEXTS = 2_000

HashColumn = Literal["signature", "runs"]
Signatures = np.ndarray[tuple[int, int], np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Nearness:
    """The Jaccard index from which texts are near duplicates, and the MinHash parameters that propose such pairs.

    With b bands of r hashes, a pair of index s is proposed with probability 1 - (1 - s^r)^b.
    """

    jaccard: float = NEAR_DUPLICATE_JACCARD
    permutations: int = PERMUTATIONS
    bands: int = BANDS

    @property
    def min_estimate(self) -> float:
        """The estimate by the hashes from which a pair is compared exactly."""
        return self.jaccard - ESTIMATE_ERROR


@dataclass(frozen=True, slots=True)
class HashKind:
    """One kind of signature of texts, which has a column of this name among a set's hashes."""

    name: Literal["near", "apart"]
    nearness: Nearness


NEAR = HashKind("near", Nearness())
APART = HashKind("apart", Nearness(APART_JACCARD, permutations=126, bands=42))
RUNS = pa.field("runs", pa.list_(pa.field("item", pa.uint32(), nullable=False)), nullable=False)
# The hashes of a set: of each kind a signature, and the runs of words.
HASHES_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        *(pa.field(kind.name, pa.binary(kind.nearness.permutations), nullable=False) for kind in (NEAR, APART)),
        RUNS,
    ],
    {"hashes_version": str(HASHES_VERSION), "algorithm": str(RMinHash.ALGORITHM_VERSION)},
)


def sign(texts: Sequence[str], permutations: int) -> Signatures:
    """Returns a row of ``permutations`` bytes for each text."""
    parts = [np.empty((0, permutations), np.uint8)]
    for start in range(0, len(texts), _SIGN_TEXTS):
        shingles = [list(shingle(text)) for text in texts[start : start + _SIGN_TEXTS]]
        rows = RMinHash.digest_matrix_from_token_sets(shingles, permutations, HASH_SEED).to_rows()
        parts.append((np.asarray(rows, np.uint32) & 0xFF).astype(np.uint8))
    return np.concatenate(parts)


def hash_runs(text: str) -> list[int]:
    """Returns a hash of 32 bits for each run of ``COMMON_RUN`` words of a text, sorted."""
    return sorted({zlib.crc32("\0".join(run).encode()) for run in word_runs(text, COMMON_RUN)})


def make_hashes(texts: Sequence[str]) -> pa.Table:
    """Makes the hashes of texts, one row for each, in order: the columns of ``HASHES_SCHEMA`` but for the ids."""
    columns = [make_hash_column(texts, kind, "signature") for kind in (NEAR, APART)]
    columns.append(make_hash_column(texts, APART, "runs"))
    return pa.table(columns, HASHES_SCHEMA.names[1:])


def make_hash_column(texts: Sequence[str], kind: HashKind, column: HashColumn) -> pa.Array:
    """Makes one column of the hashes of texts."""
    if column == "runs":
        return pa.array([hash_runs(text) for text in texts], RUNS.type)
    width = kind.nearness.permutations
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(texts), [None, pa.py_buffer(sign(texts, width))])


def read_signatures(column: pa.Array) -> Signatures:
    """Returns the signatures of a ``signature`` column, without copying them."""
    width = column.type.byte_width
    found = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return found[column.offset * width : (column.offset + len(column)) * width].reshape(len(column), width)
