"""Opens the samples of a pool without their texts, which are read from the sets' files by their position."""

import bisect
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.store.earlier.hashes import Hashes, Ids, are_of_this_version, fetch_hashes, walk_hashes
from engine.store.earlier.rows import open_rows
from engine.store.earlier.samples import COLUMNS, StoredSamples
from engine.store.earlier.search import FindPairs, Numbers, StoredPair, StoredTexts
from engine.store.layout import HASHES
from engine.store.store import StoredSet, explain_damage, is_altered
from engine.text.signatures import HashColumn, HashKind, make_hash_column

LOGGER = logging.getLogger("exemplars.store")
_FILE_COLUMNS = ["trait", "quality", "scenario", "seed_sha256"]
# What `Scenario.to_json` writes first; other JSON is parsed.
_SUBJECT_FIRST = r'^\{"subject": "(?P<subject>[^"\\]*)"'


class StoreTexts:
    """The texts of some sets, one after the other; picklable, so that another process can read them too."""

    def __init__(self, sets: Sequence[StoredSet], counts: Sequence[int]) -> None:
        self._sets = tuple(sets)
        self._ends = list(accumulate(counts))
        self._found: list[tuple[Hashes | None, Ids | None]] = []

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def walk_hashes(self, kind: HashKind, column: HashColumn) -> Iterator[pa.Array]:
        """Yields a column of hashes in parts; those that do not fit a set's texts, or this code, are made anew.

        Raises:
            StoreError: a set's hashes or, where these do not hold, its texts cannot be read.
        """
        if not self._found:
            # Each round asks several times, and a model may have thousands of sets.
            counts = np.diff([0, *self._ends]).tolist()
            self._found = [_find_hashes(*item) for item in zip(self._sets, counts, strict=True)]
        for stored, (hashes, ids) in zip(self._sets, self._found, strict=True):
            if hashes is None:
                yield from (make_hash_column(texts, kind, column) for texts in _walk_texts(stored))
                continue
            with explain_damage(stored):
                yield from walk_hashes(hashes, kind, column, ids)

    def read(self, rows: Numbers) -> Mapping[int, str]:
        """The texts at some positions, which are sorted and unique; of each set only the row groups that have some.

        Raises:
            StoreError: a set cannot be read.
        """
        texts: dict[int, str] = {}
        for number in sorted({bisect.bisect_right(self._ends, row) for row in rows.tolist()}):
            begins = self._ends[number - 1] if number else 0
            own = rows[(rows >= begins) & (rows < self._ends[number])]
            found = _read_texts(self._sets[number], own - begins)
            texts.update(zip(own.tolist(), found, strict=True))
        return texts

    def find_unchecked(self, others: StoredTexts, find: FindPairs) -> list[StoredPair]:
        """What ``find`` gives for the sets that no gate has held against some of the others, and for those.

        Raises:
            StoreError: a set cannot be read.
        """
        if not isinstance(others, StoreTexts):
            return find(self, others, np.arange(len(self))) if len(self) and len(others) else []
        own, theirs = list_unchecked(self._sets, others._sets)
        if not own or not theirs:
            return []
        texts, rows = self._restrict(own)
        found = find(texts, texts if others is self else others._restrict(theirs)[0], rows)
        return [(int(rows[row]), text, other, similarity) for row, text, other, similarity in found]

    def _restrict(self, sets: Sequence[StoredSet]) -> tuple["StoreTexts", Numbers]:
        """The texts of some of the sets, and their positions among all."""
        bounds = dict(zip((item.folder for item in self._sets), pairwise([0, *self._ends]), strict=True))
        own = [bounds[item.folder] for item in sets]
        texts = StoreTexts(sets, [end - begin for begin, end in own])
        return texts, np.concatenate([np.arange(begin, end) for begin, end in own])


def list_unchecked(sets: Sequence[StoredSet], others: Sequence[StoredSet]) -> tuple[list[StoredSet], list[StoredSet]]:
    """The sets that no gate has held against some of the others, or against itself, and those others.

    The gate of a set has held it against itself and the sets that its manifest names.
    """
    altered = {item.folder: is_altered(item) for item in (*sets, *others)}
    beside = {item.folder: _list_beside(item) for item in (*sets, *others) if not altered[item.folder]}

    def is_checked(one: StoredSet, other: StoredSet) -> bool:
        return (
            other.folder in beside
            and one.folder in beside
            and (other.run_id in beside[one.folder] or one.run_id in beside[other.folder])
        )

    pairs = [(one, other) for one in sets for other in others if not is_checked(one, other)]
    own, theirs = {one.folder for one, _ in pairs}, {other.folder for _, other in pairs}
    return [item for item in sets if item.folder in own], [item for item in others if item.folder in theirs]


def _list_beside(stored: StoredSet) -> frozenset[str]:
    """The run ids of the sets that a set's gate has held it against, itself included."""
    inputs = stored.manifest.get("inputs", {})
    return frozenset((*inputs["checked_beside"], stored.run_id)) if "checked_beside" in inputs else frozenset()


def open_samples(sets: Sequence[StoredSet]) -> StoredSamples:
    """The samples of some sets, in order, as they lie in the store; ``list_altered`` names sets that were altered.

    Raises:
        StoreError: the store cannot be read, or a set's file is missing or can no longer be read.
    """
    tables = [_read_columns(stored) for stored in sets]
    table = pa.concat_tables([COLUMNS.empty_table(), *tables]).unify_dictionaries()
    counts = [table.num_rows for table in tables]
    return StoredSamples(table, StoreTexts(sets, counts))


def _read_columns(stored: StoredSet) -> pa.Table:
    with open_rows(stored, read_dictionary=[name for name in _FILE_COLUMNS if name != "quality"]) as parquet:
        for name in (*_FILE_COLUMNS, "text"):
            if name not in parquet.schema_arrow.names:
                raise KeyError(f'Field "{name}" does not exist in schema')
        table = parquet.read(_FILE_COLUMNS, use_threads=False)
        if table["trait"].null_count or _has_null_texts(parquet):
            raise ValueError("a row without a trait or a text")
        subjects = _read_subjects(table["scenario"])
        columns = [table["trait"], table["quality"], subjects, table["seed_sha256"]]
        return pa.table(columns, COLUMNS.names).cast(COLUMNS)


def _has_null_texts(parquet: pq.ParquetFile) -> bool:
    """Whether a text is null, by the statistics of each row group where it has any."""
    column = parquet.schema_arrow.names.index("text")
    for group in range(parquet.num_row_groups):
        statistics = parquet.metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_null_count:
            return bool(parquet.read(["text"])["text"].null_count)
        if statistics.null_count:
            return True
    return False


def _read_subjects(scenarios: pa.ChunkedArray) -> pa.ChunkedArray:
    """The subjects in a dictionary-encoded column of scenarios; each different scenario is read once."""
    chunks = []
    for chunk in scenarios.unify_dictionaries().chunks:
        if chunk.null_count:
            raise ValueError("a row without a scenario")
        values = chunk.dictionary
        found = pc.struct_field(pc.extract_regex(values, _SUBJECT_FIRST), "subject")
        if found.null_count:
            rest = [str(json.loads(value).get("subject", "")) for value in values.filter(pc.is_null(found)).to_pylist()]
            found = pc.replace_with_mask(found, pc.is_null(found), pa.array(rest, pa.string()))
        subjects = found.dictionary_encode()
        chunks.append(pa.DictionaryArray.from_arrays(subjects.indices.take(chunk.indices), subjects.dictionary))
    return pa.chunked_array(chunks, COLUMNS.field("subject").type)


def _read_texts(stored: StoredSet, rows: Numbers) -> list[str]:
    """The texts at some sorted positions in one set."""
    texts: list[str] = []
    with open_rows(stored) as parquet:
        begins = 0
        for group in range(parquet.num_row_groups):
            ends = begins + parquet.metadata.row_group(group).num_rows
            own = rows[(rows >= begins) & (rows < ends)]
            if own.size:
                column = parquet.read_row_group(group, columns=["text"], use_threads=False)["text"]
                texts += column.take(pa.array(own - begins)).to_pylist()
            begins = ends
    return texts


def _walk_texts(stored: StoredSet) -> Iterator[Sequence[str]]:
    with open_rows(stored) as parquet:
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group, columns=["text"], use_threads=False)["text"].to_pylist()


def _find_hashes(stored: StoredSet, rows: int) -> tuple[Hashes | None, Ids | None]:
    """The file of a set's hashes, None where they do not fit its texts or this code; and the ids of samples if fewer.

    Raises:
        StoreError: they cannot be read.
    """
    with explain_damage(stored):
        entry = stored.manifest["files"][HASHES]
        hashes = fetch_hashes(stored.file(HASHES))
        if is_altered(stored) or not are_of_this_version(hashes):
            LOGGER.warning("The hashes of run %s do not fit its texts, and are made anew", stored.run_id)
            return None, None
        return hashes, None if entry["rows"] == rows else _read_ids(stored)


def _read_ids(stored: StoredSet) -> Ids:
    with open_rows(stored) as parquet:
        return np.asarray(parquet.read(["id"], use_threads=False)["id"], np.int64)
