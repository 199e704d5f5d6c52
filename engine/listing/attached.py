"""Reads attached samples from the store row by row, in the order in which their sets were attached.

Its manifest says when a set was attached. ``created_at`` cannot: it says when the run was due, and a run that waited
or was retried was due before runs that attached their sets earlier.

Samples may be removed from a set between two pages: a row keeps the number that it had when its set was attached.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.domain.model import Pole
from engine.errors import StoreError
from engine.store.changes import number_rows
from engine.store.commit import is_attached
from engine.store.layout import SAMPLES
from engine.store.sample_set import ATTACHED_NS, GROUP_ROWS, read_manifest
from engine.store.store import StoredSet, list_sets
from engine.system.filesystem import open_folder

COLUMNS = ["id", "trait", "text", "quality", "provenance", "content_sha256", "created_at"]
# To make Python values of rows is most of the cost, and a page may end early in a batch.
BATCH_ROWS = 128
BUFFER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ListedSample:
    """A text with its quality in [0, 1] for one trait, which is given by its key (the platform's contract, section 3).

    ``id`` has 53 bits; the same text for the same trait has the same id, even if it is authored twice.
    ``created_at`` is in UTC, and None for authored samples.
    """

    id: int
    trait: str
    text: str
    quality: float
    provenance: str
    source_url: str | None
    content_sha256: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class AttachedPosition:
    """The position of an attached sample: when its set was attached (ns since 1970), the set's run id, and the row."""

    attached_ns: int = 0
    run_id: str = ""
    row: int = 0


def walk_attached(
    samples_uri: str, handle: str, trait_key: str | None, start: AttachedPosition
) -> Iterator[tuple[AttachedPosition, ListedSample]]:
    """Yields the attached samples of a model, or of one trait, from a position on, each with its position.

    A set that is detached in the meantime is skipped; the listing continues with the next set.

    Raises:
        StoreError: a set cannot be read.
    """
    for stored in sorted(list_sets(samples_uri, handle, "train"), key=_find_place):
        place = _find_place(stored)
        if place < (start.attached_ns, start.run_id) or trait_key not in (None, *stored.manifest["counts"]):
            continue
        first = start.row if place == (start.attached_ns, start.run_id) else 0
        for row, entry in _walk_set(stored.folder, first, trait_key):
            yield AttachedPosition(*place, row), ListedSample(**entry, source_url=None)


def count_attached(samples_uri: str, handle: str) -> Counter[tuple[str, Pole | None]]:
    """The number of attached samples by trait key and pole, from the manifests.

    Raises:
        StoreError: a folder or manifest cannot be read.
    """
    counts = Counter[tuple[str, Pole | None]]()
    for stored in list_sets(samples_uri, handle, "train"):
        for trait, poles in stored.manifest["counts"].items():
            counts.update({(trait, pole): count for pole, count in poles.items()})
    return counts


def _find_place(stored: StoredSet) -> tuple[int, str]:
    return stored.manifest[ATTACHED_NS], stored.run_id


def _walk_set(folder: str, first: int, trait_key: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the rows of a set from row ``first`` on, each with its number; only those of a trait if one is given."""
    filesystem, path = open_folder(f"{folder}/{SAMPLES}")
    try:
        with filesystem.open_input_file(path) as source:
            yield from _walk_file(source, first, trait_key)
    except (OSError, pa.ArrowException) as error:
        # It may have been detached since it was listed.
        if not isinstance(error, FileNotFoundError) or is_attached(read_manifest(folder)):
            raise StoreError(f"The sample set {folder} cannot be read: {error}") from error


def _walk_file(source: pa.NativeFile, first: int, trait_key: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    # Without a buffer, a column of a whole row group would be read at once.
    options = {"buffer_size": BUFFER_BYTES, "pre_buffer": False, "page_checksum_verification": True}
    with pq.ParquetFile(source, **options) as parquet:
        numbers = number_rows(parquet.metadata.metadata, parquet.metadata.num_rows)
        # Whole row groups before the first row are not read.
        begun = int(np.searchsorted(numbers, first)) // GROUP_ROWS
        numbers, groups = numbers[begun * GROUP_ROWS :], range(begun, parquet.num_row_groups)
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=COLUMNS, use_threads=False):
            own, numbers = pa.array(numbers[: batch.num_rows]), numbers[batch.num_rows :]
            wanted = pc.greater_equal(own, first)
            if trait_key is not None:
                wanted = pc.and_(wanted, pc.equal(batch["trait"], trait_key))
            yield from zip(own.filter(wanted).to_pylist(), batch.filter(wanted).to_pylist(), strict=True)
