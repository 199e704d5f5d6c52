"""The samples of a pool as columns; their texts stay in the store and are read by position."""

import bisect
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.model import Attached
from engine.store.changes import is_altered
from engine.store.index.rows import open_rows
from engine.store.index.search import NO_TEXTS, MemoryTexts, Numbers, StoredTexts
from engine.store.layout import HASHES
from engine.store.store import StoredSet, explain_damage
from engine.system.filesystem import open_folder, read_bytes
from engine.system.parquet import open_parquet
from engine.text.near_duplicates import HASHES_SCHEMA, HashColumn, make_hash_column

# The path of a file of hashes on this disk, or the content of a file in an object store.
_Hashes = str | bytes
_TEXT = pa.string()
_WORDS = pa.dictionary(pa.int32(), _TEXT)
COLUMNS = pa.schema([("trait", _WORDS), ("quality", pa.float64()), ("subject", _WORDS), ("seed_sha256", _WORDS)])
_READ_ROWS = 10_000
_FILE_COLUMNS = ["trait", "quality", "scenario", "seed_sha256"]
# `Scenario.to_json` writes the subject first; other JSON is parsed.
_SUBJECT_FIRST = r'^\{"subject": "(?P<subject>[^"\\]*)"'


@dataclass(frozen=True, eq=False)
class StoredSamples(Collection[Attached]):
    """The samples of one pool, in order, with the columns ``COLUMNS``. Iteration reads all texts."""

    columns: pa.Table
    texts: StoredTexts

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    def __contains__(self, item: object) -> bool:
        return any(item == sample for sample in self)

    def __iter__(self) -> Iterator[Attached]:
        for begins in range(0, len(self), _READ_ROWS):
            rows = self.columns.slice(begins, _READ_ROWS).to_pylist()
            texts = self.texts.read(np.arange(begins, begins + len(rows)))
            for number, row in enumerate(rows, start=begins):
                yield Attached(row["trait"], texts[number], row["quality"], row["subject"], row["seed_sha256"])

    def count_subjects(self, trait: str | None = None) -> Counter[str]:
        """Count the samples of each subject, for one trait or for all."""
        rows = self.columns if trait is None else self.columns.filter(pc.equal(self.columns["trait"], trait))
        counts = pc.value_counts(rows["subject"].cast(_TEXT))
        return Counter(dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)))

    def list_variations(self) -> "StoredSamples":
        """Return the samples that are variations of a seed, without their texts."""
        return StoredSamples(self.columns.filter(pc.is_valid(self.columns["seed_sha256"])), NO_TEXTS)

    def count_variations(self) -> Counter[tuple[str, float, str]]:
        """Count the variations of each seed by trait, quality and the seed's SHA-256."""
        rows = self.list_variations().columns
        keys = ["trait", "quality", "seed_sha256"]
        plain = rows.select(keys).cast(pa.schema([("trait", _TEXT), ("quality", pa.float64()), ("seed_sha256", _TEXT)]))
        counts = plain.group_by(keys).aggregate([([], "count_all")]).to_pylist()
        return Counter({(row["trait"], row["quality"], row["seed_sha256"]): row["count_all"] for row in counts})


def open_samples(sets: Sequence[StoredSet]) -> StoredSamples:
    """Return the samples of some sets, in order; their texts are read later.

    Raises:
        StoreError: the store cannot be read, or a set's file is missing, altered or unreadable.
    """
    tables = [_read_columns(stored) for stored in sets]
    table = pa.concat_tables([COLUMNS.empty_table(), *tables]).unify_dictionaries()
    counts = [table.num_rows for table in tables]
    return StoredSamples(table, _StoreTexts(sets, counts))


def as_stored(samples: Collection[Attached]) -> StoredSamples:
    """Return samples as columns; samples in memory are few."""
    if isinstance(samples, StoredSamples):
        return samples
    rows = [
        {"trait": item.trait, "quality": item.quality, "subject": item.subject, "seed_sha256": item.seed_sha256}
        for item in samples
    ]
    return StoredSamples(pa.Table.from_pylist(rows, COLUMNS), MemoryTexts([item.text for item in samples]))


class _StoreTexts:
    """The texts of some sets, in order; picklable, so that another process can read them too."""

    def __init__(self, sets: Sequence[StoredSet], counts: Sequence[int]) -> None:
        self._sets = tuple(sets)
        self._ends = list(accumulate(counts))
        self._hashes: list[tuple[_Hashes, Numbers | None]] = []

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def walk_hashes(self, column: HashColumn) -> Iterator[pa.Array]:
        """Yield a column of hashes in parts.

        Raises:
            StoreError: a set's hashes cannot be read, or do not fit its samples.
        """
        counts = np.diff([0, *self._ends]).tolist()
        if not self._hashes:
            # Each round calls this several times, and a model may have thousands of sets.
            self._hashes = [_find_hashes(*item) for item in zip(self._sets, counts, strict=True)]
        for stored, count, (hashes, ids) in zip(self._sets, counts, self._hashes, strict=True):
            with explain_damage(stored):
                if stored.manifest.get("review", {}).get("corrected"):
                    # The file has the hashes of the proposed texts, before their correction.
                    yield make_hash_column(_read_texts(stored, np.arange(count)), column)
                else:
                    yield from _walk_hashes(hashes, column, ids)

    def read(self, rows: Numbers) -> Mapping[int, str]:
        """Return the texts at sorted, unique positions; only row groups with such a text are read.

        Raises:
            StoreError: a set cannot be read.
        """
        texts: dict[int, str] = {}
        for number in sorted({bisect.bisect_right(self._ends, row) for row in rows.tolist()}):
            begins = self._ends[number - 1] if number else 0
            in_set = rows[(rows >= begins) & (rows < self._ends[number])]
            set_texts = _read_texts(self._sets[number], in_set - begins)
            texts.update(zip(in_set.tolist(), set_texts, strict=True))
        return texts


def _read_columns(stored: StoredSet) -> pa.Table:
    with open_rows(stored, read_dictionary=[name for name in _FILE_COLUMNS if name != "quality"]) as parquet:
        if is_altered(stored):
            raise ValueError("its size is not what the manifest says")
        table = parquet.read(_FILE_COLUMNS, use_threads=False)
        subjects = _read_subjects(table["scenario"])
        columns = [table["trait"], table["quality"], subjects, table["seed_sha256"]]
        return pa.table(columns, COLUMNS.names).cast(COLUMNS)


def _read_subjects(scenarios: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the subjects of a dictionary-encoded column of scenarios; each distinct scenario is parsed once."""
    chunks = []
    for chunk in scenarios.unify_dictionaries().chunks:
        values = chunk.dictionary
        parsed = pc.struct_field(pc.extract_regex(values, _SUBJECT_FIRST), "subject")
        if parsed.null_count:
            others = values.filter(pc.is_null(parsed)).to_pylist()
            rest = [str(json.loads(value).get("subject", "")) for value in others]
            parsed = pc.replace_with_mask(parsed, pc.is_null(parsed), pa.array(rest, pa.string()))
        subjects = parsed.dictionary_encode()
        chunks.append(pa.DictionaryArray.from_arrays(subjects.indices.take(chunk.indices), subjects.dictionary))
    return pa.chunked_array(chunks, COLUMNS.field("subject").type)


def _read_texts(stored: StoredSet, rows: Numbers) -> list[str]:
    texts: list[str] = []
    with open_rows(stored) as parquet:
        begins = 0
        for group in range(parquet.num_row_groups):
            ends = begins + parquet.metadata.row_group(group).num_rows
            in_group = rows[(rows >= begins) & (rows < ends)]
            if in_group.size:
                column = parquet.read_row_group(group, columns=["text"], use_threads=False)["text"]
                texts += column.take(pa.array(in_group - begins)).to_pylist()
            begins = ends
    return texts


def _find_hashes(stored: StoredSet, rows: int) -> tuple[_Hashes, Numbers | None]:
    """Return the file of a set's hashes, and the ids of its samples if the set has fewer samples than hashes."""
    with explain_damage(stored):
        entry = stored.manifest["files"][HASHES]
        uri = stored.file(HASHES)
        hashes: _Hashes = read_bytes(uri) if "://" in uri else open_folder(uri)[1]
        if entry["rows"] == rows:
            return hashes, None
        with open_rows(stored) as parquet:
            return hashes, np.asarray(parquet.read(["id"], use_threads=False)["id"], np.int64)


def _walk_hashes(hashes: _Hashes, column: HashColumn, ids: Numbers | None) -> Iterator[pa.Array]:
    """Yield a column of hashes in parts; if ``ids`` is given, only the hashes of these samples.

    Raises:
        ValueError: some of these samples have no hashes, or another version of the code computed them.
    """
    requested, count = None if ids is None else pa.array(ids), 0
    with open_parquet(hashes) as parquet:
        if parquet.schema_arrow.metadata != HASHES_SCHEMA.metadata:
            raise ValueError("another version of this program computed its hashes")
        for group in range(parquet.num_row_groups):
            columns = [column] if requested is None else ["id", column]
            table = parquet.read_row_group(group, columns=columns, use_threads=False)
            if requested is not None:
                table = table.filter(pc.is_in(table["id"], requested))
                count += table.num_rows
            yield from table[column].chunks
    if ids is not None and count != len(ids):
        raise ValueError(f"it has hashes for {count} of its {len(ids)} samples")
