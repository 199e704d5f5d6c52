"""Search stored texts by their hashes with arrays; only the texts of candidate pairs are read, by position."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from engine.text.near_duplicates import (
    NEAR,
    PERMUTATIONS,
    HashColumn,
    Match,
    Nearness,
    Signatures,
    hash_runs,
    jaccard,
    make_hash_column,
    read_signatures,
    sign,
)
from engine.text.words import COMMON_RUN, normalise, shingle, word_runs

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
# Rows per search step: their signatures fit into a processor's cache.
_BLOCK_ROWS = 8_192
# Pairs of signatures per comparison step.
_COMPARED_PAIRS = 65_536


class StoredTexts(Protocol):
    """The texts of a pool, with their hashes."""

    def __len__(self) -> int: ...

    def walk_hashes(self, column: HashColumn) -> Iterator[pa.Array]:
        """Yield a column of hashes in parts, all rows in order."""

    def read(self, rows: Numbers) -> Mapping[int, str]:
        """Return the texts at sorted, unique positions."""


class MemoryTexts:
    """Texts in memory, for few texts and for tests; each column of hashes is computed once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._columns: dict[HashColumn, pa.Array] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def walk_hashes(self, column: HashColumn) -> Iterator[pa.Array]:
        """Yield the whole column as one part."""
        if column not in self._columns:
            self._columns[column] = make_hash_column(self._texts, column)
        yield self._columns[column]

    def read(self, rows: Numbers) -> Mapping[int, str]:
        """Return the texts at some positions."""
        return {row: self._texts[row] for row in rows.tolist()}


NO_TEXTS = MemoryTexts(())


@dataclass(frozen=True, slots=True)
class StoredMatch:
    """A stored text at position ``row`` that matches the text with index ``query`` among the texts searched for.

    ``similarity`` is the Jaccard index (1: the same normal form); it is 0 for a match by ``runs``, shared word runs.
    """

    query: int
    row: int
    text: str
    similarity: float = 0.0
    runs: frozenset[tuple[str, ...]] = frozenset()


def match_stored(texts: Sequence[str], stored: StoredTexts, kind: Nearness = NEAR) -> Iterator[StoredMatch]:
    """Yield every stored text that is near one of ``texts``, in order of position."""
    if not texts or not len(stored):
        return
    search = BandSearch(sign(texts), kind)
    forms: dict[int, tuple[str, frozenset[str]]] = {}
    for begins, signatures in _walk(stored, "signature"):
        rows, queries = search.find(read_signatures(signatures))
        if not rows.size:
            continue
        rows += begins
        read = stored.read(np.unique(rows))
        for row, query in zip(rows.tolist(), queries.tolist(), strict=True):
            if query not in forms:
                forms[query] = normalise(texts[query]), shingle(texts[query])
            form, shingles = forms[query]
            # Texts with the same shingles in another order are near duplicates, not the same text.
            nearly = min(jaccard(shingles, shingle(read[row])), 0.999)
            similarity = 1.0 if normalise(read[row]) == form else nearly
            if similarity >= kind.jaccard:
                yield StoredMatch(query, row, read[row], similarity)


def find_nearest(texts: Sequence[str], stored: StoredTexts, kind: Nearness = NEAR) -> dict[str, Match]:
    """Return the nearest stored text of each text that has one; the first, if several are equally near."""
    nearest: dict[str, Match] = {}
    for item in match_stored(texts, stored, kind):
        text = texts[item.query]
        if text not in nearest or item.similarity > nearest[text].similarity:
            nearest[text] = Match(item.text, item.similarity)
    return nearest


def share_runs(texts: Sequence[str], stored: StoredTexts) -> Iterator[StoredMatch]:
    """Yield every stored text that shares a run of words with one of ``texts``, in order of position."""
    hashes = [(value, query) for query, text in enumerate(texts) for value in hash_runs(text)]
    if not hashes or not len(stored):
        return
    values = np.array(sorted({value for value, _ in hashes}), np.uint32)
    owners: dict[int, list[int]] = {}
    for value, query in hashes:
        owners.setdefault(value, []).append(query)
    runs = [word_runs(text, COMMON_RUN) for text in texts]
    for begins, column in _walk(stored, "runs"):
        flat = column.flatten().to_numpy()
        places = np.minimum(np.searchsorted(values, flat), len(values) - 1)
        hits = np.flatnonzero(values[places] == flat)
        if not hits.size:
            continue
        ends = column.offsets.to_numpy()[1:] - column.offsets[0].as_py()
        rows = np.searchsorted(ends, hits, side="right") + begins
        read = stored.read(np.unique(rows))
        pairs = {
            (row, query)
            for row, value in zip(rows.tolist(), flat[hits].tolist(), strict=True)
            for query in owners[value]
        }
        for row, query in sorted(pairs):
            if shared := runs[query] & word_runs(read[row], COMMON_RUN):
                yield StoredMatch(query, row, read[row], runs=shared)


class BandSearch:
    """Search for signatures that share a band with one of the query texts and pass the estimate of similarity.

    Args:
        signatures: the signatures of the query texts.
    """

    def __init__(self, signatures: Signatures, nearness: Nearness) -> None:
        self._signatures = signatures
        self._bands = nearness.bands
        self._width = PERMUTATIONS // nearness.bands
        self._least = nearness.min_estimate * PERMUTATIONS
        count = len(signatures)
        owners, bands = np.divmod(np.arange(count * self._bands), self._bands)
        keys = self._make_keys(signatures, owners, bands)
        order = np.argsort(keys, kind="stable")
        self._keys, self._owners = keys[order], owners[order]
        # A table of the first 16 bits of each band excludes most rows before their whole bands are looked up.
        self._slots = np.zeros((self._bands, 1 << 16), np.bool_)
        self._slots[np.arange(self._bands), self._read_starts(signatures)] = True

    def find(self, signatures: Signatures) -> tuple[Numbers, Numbers]:
        """Return pairs of a row of ``signatures`` and the index of a query text, sorted and unique."""
        starts = range(0, max(1, len(signatures)), _BLOCK_ROWS)
        pairs = [self._find_block(start, signatures[start : start + _BLOCK_ROWS]) for start in starts]
        return np.concatenate([rows for rows, _ in pairs]), np.concatenate([queries for _, queries in pairs])

    def _find_block(self, start: int, block: Signatures) -> tuple[Numbers, Numbers]:
        rows, bands = np.nonzero(self._slots[np.arange(self._bands), self._read_starts(block)])
        keys = self._make_keys(block, rows, bands)
        left, right = np.searchsorted(self._keys, keys), np.searchsorted(self._keys, keys, side="right")
        counts = right - left
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        owners = self._owners[np.repeat(left, counts) + within]
        rows, queries = np.divmod(
            np.unique(np.repeat(rows, counts) * len(self._signatures) + owners), len(self._signatures)
        )
        alike = np.zeros(len(rows), np.bool_)
        for begin in range(0, len(rows), _COMPARED_PAIRS):
            part = slice(begin, begin + _COMPARED_PAIRS)
            same = block[rows[part]] == self._signatures[queries[part]]
            alike[part] = np.count_nonzero(same, axis=1) >= self._least
        return rows[alike] + start, queries[alike]

    def _read_starts(self, signatures: Signatures) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
        first, second = signatures[:, :: self._width], signatures[:, 1 :: self._width]
        return np.asarray(first.astype(np.uint16) << 8 | second, np.uint16)

    def _make_keys(
        self, signatures: Signatures, rows: Numbers, bands: Numbers
    ) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        """Return a key for each row and band: the number of the band, then the bytes of the band."""
        keys = bands.astype(np.uint64)
        for place in range(self._width):
            keys = (keys << np.uint64(8)) | signatures[rows, bands * self._width + place]
        return keys


def _walk(stored: StoredTexts, column: HashColumn) -> Iterator[tuple[int, pa.Array]]:
    begins = 0
    for part in stored.walk_hashes(column):
        yield begins, part
        begins += len(part)
