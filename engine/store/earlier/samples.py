"""The samples of a pool as columns; their texts stay where they are stored, and are read by their position."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.model import Attached
from engine.store.earlier.search import MemoryTexts, StoredTexts

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
        for begins in range(0, len(self), _READ_ROWS):
            rows = self.columns.slice(begins, _READ_ROWS).to_pylist()
            texts = self.texts.read(np.arange(begins, begins + len(rows)))
            for number, row in enumerate(rows, start=begins):
                yield Attached(row["trait"], texts[number], row["quality"], row["subject"], row["seed_sha256"])

    def count_subjects(self, trait: str | None = None) -> Counter[str]:
        """Counts how often each subject was used, of one trait or of all."""
        rows = self.columns if trait is None else self.columns.filter(pc.equal(self.columns["trait"], trait))
        counts = pc.value_counts(rows["subject"].cast(_TEXT))
        return Counter(dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)))

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
