"""Takes single samples off attached sets, each set in one move."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from engine.domain.model import Pool
from engine.errors import StoreError
from engine.store.commit import finish_replacing, is_attached, replace_files
from engine.store.layout import ATTACHED_NS, MANIFEST, REJECTED, SAMPLES
from engine.store.sample_set import read_manifest
from engine.store.set_versions import Removal, list_removals, remove_rows
from engine.store.store import StoredSet, explain_damage, list_sets, translate_errors
from engine.store.writers import lock_model
from engine.system.filesystem import open_folder, read_bytes

# An id has 53 bits.
MAX_ID = 1 << 53


@dataclass(frozen=True, slots=True)
class FoundSamples:
    """Where wanted samples are: attached ones by set, and those that were removed before by the run of their set."""

    attached: tuple[tuple[StoredSet, tuple[int, ...]], ...]
    removed: Mapping[int, str]

    @property
    def ids(self) -> frozenset[int]:
        """The ids of the attached ones."""
        return frozenset(number for _, own in self.attached for number in own)


def find_samples(
    samples_uri: str, handle: str, ids: Collection[int], pools: Sequence[Pool] = ("train",)
) -> FoundSamples:
    """Which of the ids are those of a model's stored samples; only the columns of ids are read.

    Raises:
        StoreError: a set cannot be read.
    """
    wanted = {number for number in ids if 0 <= number < MAX_ID}
    attached: list[tuple[StoredSet, tuple[int, ...]]] = []
    removed: dict[int, str] = {}
    for stored in (stored for pool in pools for stored in list_sets(samples_uri, handle, pool)):
        gone = {number for entry in list_removals(stored.manifest) for number in entry["ids"]}
        removed |= dict.fromkeys(gone & wanted, stored.run_id)
        if wanted and (own := _find_ids(stored, wanted)):
            attached.append((stored, own))
    there = {number for _, own in attached for number in own}
    return FoundSamples(tuple(attached), {number: run for number, run in removed.items() if number not in there})


def remove_stored(stored: StoredSet, removal: Removal) -> bool:
    """Takes samples off an attached set; False if it is no longer attached. The caller must keep runs out.

    Samples that it has no more, as after a removal in an object store that broke off, are passed over.

    Raises:
        StoreError: the set cannot be read or written, or was altered since it was written; no reader sees a half of it.
    """
    filesystem, path = open_folder(stored.folder)
    with translate_errors(stored.folder), lock_model(stored.folder):
        finish_replacing(filesystem, path)
        manifest = read_manifest(stored.folder)
        if manifest is None or not is_attached(manifest):
            return False
        if not isinstance(filesystem, fs.LocalFileSystem):
            manifest = {**manifest, ATTACHED_NS: _read_attached_ns(filesystem, path, manifest)}
        files = {name: _read_sealed(stored.folder, name, manifest) for name in (SAMPLES, REJECTED)}
        if changed := remove_rows(manifest, files, removal):
            replace_files(filesystem, path, changed)
        return True


def _find_ids(stored: StoredSet, ids: Collection[int]) -> tuple[int, ...]:
    """Those of the ids that a set has, in the order of its rows."""
    with explain_damage(stored):
        content = pa.BufferReader(read_bytes(stored.file(stored.rows_name)))
        column = pq.read_table(content, columns=["id"], page_checksum_verification=True)["id"]
        found: list[int] = column.filter(pc.is_in(column, pa.array(sorted(ids), pa.int64()))).to_pylist()
        return tuple(found)


def _read_sealed(folder: str, name: str, manifest: Mapping[str, Any]) -> bytes:
    """A file of a set as its manifest says that it is: what was altered would else be sealed anew.

    Raises:
        StoreError: it is not, or cannot be read.
    """
    try:
        content = read_bytes(f"{folder}/{name}")
    except FileNotFoundError:
        content = b""
    if sha256(content).hexdigest() != manifest["files"].get(name, {}).get("sha256"):
        raise StoreError(
            f"{folder}/{name} was altered since it was written, or is gone, so nothing was removed from its set. "
            "`exemplars verify` says what helps"
        )
    return content


def _read_attached_ns(filesystem: fs.FileSystem, path: str, manifest: Mapping[str, Any]) -> int:
    """When the set was attached: an object store gives each new manifest a new time."""
    return int(manifest.get(ATTACHED_NS) or filesystem.get_file_info(f"{path}/{MANIFEST}").mtime_ns or 0)
