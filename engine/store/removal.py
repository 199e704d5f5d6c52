"""Takes single samples off attached sets, each set in one move."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from engine.store.changes import (
    finish_change,
    mark_removed,
    number_rows,
    put_file,
    read_removals,
    read_table,
    render_without,
)
from engine.store.commit import is_attached
from engine.store.layout import MANIFEST, SAMPLES
from engine.store.sample_set import write_parquet
from engine.store.store import StoredSet, explain_damage, is_altered, translate_errors
from engine.store.writers import lock_model
from engine.system.filesystem import read_bytes

# An id has 53 bits.
MAX_ID = 1 << 53


@dataclass(frozen=True, slots=True)
class Removal:
    """What is taken off, by the ids of the samples; ``why`` is a reason or empty, ``who`` a person or a key."""

    ids: tuple[int, ...]
    removed_at: datetime
    why: str = ""
    who: str = ""


def remove_stored(stored: StoredSet, removal: Removal) -> bool:
    """Takes samples off an attached set; False if it is no longer attached. The caller must keep runs out.

    Samples that it has no more are passed over.

    Raises:
        StoreError: the set cannot be read or written, or was altered since it was written; no reader sees a half of it.
    """
    folder = stored.folder
    with translate_errors(folder), lock_model(folder):
        manifest, _ = finish_change(folder)
        if manifest is None or not is_attached(manifest):
            return False
        with explain_damage(stored):
            if is_altered(StoredSet(folder, manifest)):
                raise ValueError("its size is not what the manifest says")
            samples = read_table(read_bytes(f"{folder}/{SAMPLES}"))
        gone = pc.is_in(samples["id"], pa.array(removal.ids, pa.int64()))
        taken, metadata = samples.filter(gone), samples.schema.metadata
        if not taken.num_rows:
            return True
        rows = number_rows(metadata, samples.num_rows)[gone.to_numpy()].tolist()
        said = {"when": removal.removed_at.isoformat(), "why": removal.why, "who": removal.who}
        entries = [{"id": id_, **said, "row": row} for id_, row in zip(taken["id"].to_pylist(), rows, strict=True)]
        left = mark_removed(samples.filter(pc.invert(gone)), [*read_removals(metadata), *entries])
        content = write_parquet(left)
        put_file(folder, SAMPLES, content)
        texts = dict(zip(taken["id"].to_pylist(), taken["text"].to_pylist(), strict=True))
        put_file(folder, MANIFEST, render_without(manifest, content, left, texts))
        return True
