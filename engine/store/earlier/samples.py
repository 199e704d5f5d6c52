"""The samples of a pool as columns; their texts stay where they are stored, and are read by their position."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.model import Attached
from engine.store.earlier.search import MemoryTexts, Numbers, StoredTexts

_TEXT = pa.string()
_WORDS = pa.dictionary(pa.int32(), _TEXT)
COLUMNS = pa.schema([("trait", _WORDS), ("quality", pa.float64()), ("subject", _WORDS), ("seed_sha256", _WORDS)])
_READ_ROWS = 10_000


@dataclass(frozen=True, eq=False)
class StoredSamples(Collection[Attached]):
    """The samples of one pool, in order. Going through them one by one reads all texts.

    ``columns`` has those of ``COLUMNS``.
    """

    columns: pa.Table
    texts: StoredTexts

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    def __contains__(self, item: object) -> bool:
        return any(item == sample for sample in self)

    def __iter__(self) -> Iterator[Attached]:
        return self._walk(0, len(self))

    def _walk(self, start: int, end: int) -> Iterator[Attached]:
        for begins in range(start, end, _READ_ROWS):
            ends = min(begins + _READ_ROWS, end)
            texts = self.texts.read(np.arange(begins, ends))
            rows = self.columns.slice(begins, ends - begins).to_pylist()
            for number, row in enumerate(rows, start=begins):
                yield Attached(row["trait"], texts[number], row["quality"], row["subject"], row["seed_sha256"])

    def count_subjects(self, trait: str | None = None) -> Counter[str]:
        """Counts how often each subject was used, of one trait or of all."""
        rows = self.columns if trait is None else self.columns.filter(pc.equal(self.columns["trait"], trait))
        return _count(rows["subject"])

    def read_traits(self) -> Numbers:
        """Returns a number for the trait of each sample, the same for the same trait."""
        traits = self.columns["trait"].unify_dictionaries().combine_chunks()
        array = traits.chunk(0) if isinstance(traits, pa.ChunkedArray) else traits
        return np.asarray(array.indices, np.int64)

    def list_variations(self) -> "StoredSamples":
        """Lists the samples that are variations of a seed, without their texts."""
        return StoredSamples(self.columns.filter(pc.is_valid(self.columns["seed_sha256"])), MemoryTexts(()))

    def count_variations(self) -> Counter[tuple[str, float, str]]:
        """Counts the variations of each seed: by trait, quality and the seed's SHA-256."""
        rows = self.columns.filter(pc.is_valid(self.columns["seed_sha256"]))
        keys = ["trait", "quality", "seed_sha256"]
        plain = rows.select(keys).cast(pa.schema([("trait", _TEXT), ("quality", pa.float64()), ("seed_sha256", _TEXT)]))
        counts = plain.group_by(keys).aggregate([([], "count_all")]).to_pylist()
        return Counter({(row["trait"], row["quality"], row["seed_sha256"]): row["count_all"] for row in counts})


def as_stored(samples: Collection[Attached]) -> StoredSamples:
    """Returns samples as columns; those in memory are few."""
    if isinstance(samples, StoredSamples):
        return samples
    rows = [
        {"trait": item.trait, "quality": item.quality, "subject": item.subject, "seed_sha256": item.seed_sha256}
        for item in samples
    ]
    return StoredSamples(pa.Table.from_pylist(rows, COLUMNS), MemoryTexts([item.text for item in samples]))


def _count(column: pa.ChunkedArray) -> Counter[str]:
    counts = pc.value_counts(column.cast(pa.string()))
    return Counter(dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)))
