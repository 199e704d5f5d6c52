"""What people have decided of a proposed set so far, kept the moment that it is decided.

A line of a file for each, appended and synced; an object store, which cannot append, gets the whole file each time.
The latest decision on a sample counts. When the review ends they stand in the manifest.
"""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pyarrow import fs

from engine.errors import InputError, StoreError
from engine.store.layout import DECISIONS
from engine.store.sample_set import read_manifest
from engine.store.store import StoredSet
from engine.store.writers import lock_model
from engine.system.filesystem import open_folder, sync, write_whole

Said = Literal["accept", "refuse", "other_pole", "undecided"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision on one sample; ``key`` is the id of the key that it was sent with, ``at`` a moment in UTC."""

    sample_id: int
    said: Said
    key: str
    at: str


def keep_decision(stored: StoredSet, sample_id: int, said: Said, key: str) -> Decision:
    """Adds a decision; when this returns it is on the disk.

    Raises:
        InputError: the set does not wait for a review any more. StoreError: it cannot be written.
    """
    decision = Decision(sample_id, said, key, datetime.now(UTC).isoformat(timespec="milliseconds"))
    line = (json.dumps(asdict(decision)) + "\n").encode()
    filesystem, path = open_folder(stored.folder)
    file = f"{path}/{DECISIONS}"
    try:
        # The set does not become another one meanwhile, and nobody else adds a decision.
        with lock_model(stored.folder):
            manifest = read_manifest(stored.folder)
            if manifest is None or manifest.get("status") != "proposed":
                raise InputError(f"The set of run {stored.run_id} takes no more decisions: its review has ended")
            if isinstance(filesystem, fs.LocalFileSystem):
                _append(file, line)
            else:
                write_whole(filesystem, file, _read(filesystem, file) + line)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The decision on sample {sample_id} could not be kept in {stored.folder}: {error}") from error
    return decision


def read_decisions(stored: StoredSet) -> list[Decision]:
    """All decisions on a set, in the order in which they were made: its manifest's, once its review has ended.

    Raises:
        StoreError: they cannot be read.
    """
    if "decisions" in stored.manifest:
        return [Decision(**entry) for entry in stored.manifest["decisions"]]
    filesystem, path = open_folder(stored.folder)
    try:
        content = _read(filesystem, f"{path}/{DECISIONS}")
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The decisions on the set {stored.folder} cannot be read: {error}") from error
    # A line that was cut, by a full disk or a loss of power, was never told to be kept.
    return [decision for line in content.splitlines() if (decision := _read_line(line))]


def sum_up(decisions: Sequence[Decision]) -> dict[int, Said]:
    """The latest decision on each sample that has one, by its id."""
    latest = {item.sample_id: item.said for item in decisions}
    return {sample_id: said for sample_id, said in latest.items() if said != "undecided"}


def _append(path: str, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not size:
        sync(Path(path).parent)


def _read_line(line: bytes) -> Decision | None:
    try:
        return Decision(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _read(filesystem: fs.FileSystem, path: str) -> bytes:
    try:
        with filesystem.open_input_stream(path) as stream:
            content: bytes = stream.read()
            return content
    except FileNotFoundError:
        return b""


def list_decided(decisions: Mapping[int, Said], said: Said) -> list[int]:
    """The ids of the samples of which that was said, sorted."""
    return sorted(sample_id for sample_id, found in decisions.items() if found == said)
