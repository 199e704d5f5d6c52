"""What people have decided of a proposed set so far, kept the moment that it is decided.

On a local disk a line of a file for each decision, appended and synced; on an object store, which cannot append, an
object for each. The latest decision on a sample counts.
"""

import errno
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pyarrow import fs

from engine.errors import InputError, StoreError
from engine.store.layout import DECISIONS, DECISIONS_FILE
from engine.store.local_files import sync
from engine.store.sample_set import read_manifest
from engine.store.store import StoredSet
from engine.store.writers import lock_model
from engine.system.filesystem import list_below, open_folder

# Below the name of the decisions, which `verify` passes over.
CLOSED = f"{DECISIONS}.closed"
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
    try:
        # The set does not become another one meanwhile.
        with lock_model(stored.folder):
            manifest = read_manifest(stored.folder)
            if manifest is None or manifest.get("status") != "proposed" or is_closed(stored):
                raise InputError(f"The set of run {stored.run_id} takes no more decisions: a run finishes it, or has")
            if isinstance(filesystem, fs.LocalFileSystem):
                _append(f"{path}/{DECISIONS_FILE}", line)
            else:
                with filesystem.open_output_stream(
                    f"{path}/{DECISIONS}/{time.time_ns():020d}-{uuid.uuid4().hex}"
                ) as out:
                    out.write(line)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The decision on sample {sample_id} could not be kept in {stored.folder}: {error}") from error
    return decision


def read_decisions(stored: StoredSet) -> list[Decision]:
    """All decisions on a set, in the order in which they were made.

    Raises:
        StoreError: they cannot be read.
    """
    filesystem, path = open_folder(stored.folder)
    try:
        names = [DECISIONS_FILE]
        if not isinstance(filesystem, fs.LocalFileSystem):
            found = list_below(filesystem, f"{path}/{DECISIONS}")
            names += sorted(f"{DECISIONS}/{info.base_name}" for info in found if info.type == fs.FileType.File)
        content = b"".join(_read(filesystem, f"{path}/{name}") for name in names)
        # A line that was cut, by a full disk or a loss of power, was never told to be kept.
        return [decision for line in content.splitlines() if (decision := _read_line(line))]
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The decisions on the set {stored.folder} cannot be read: {error}") from error


def read_decision_file(stored: StoredSet) -> dict[str, bytes]:
    """The decisions as a file of the set that comes of the proposal, by its name; nothing where there are none."""
    lines = [json.dumps(asdict(item)) + "\n" for item in read_decisions(stored)]
    return {DECISIONS_FILE: "".join(lines).encode()} if lines else {}


@contextmanager
def closing_decisions(stored: StoredSet) -> Iterator[None]:
    """Takes no more decisions while the block finishes the set; should it fail, decisions are taken again.

    Raises:
        StoreError: the set cannot be closed.
    """
    filesystem, path = open_folder(stored.folder)
    try:
        with lock_model(stored.folder), filesystem.open_output_stream(f"{path}/{CLOSED}"):
            pass
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The set {stored.folder} cannot be closed for decisions: {error}") from error
    try:
        yield
    finally:
        with suppress(OSError, pa.ArrowException):
            filesystem.delete_file(f"{path}/{CLOSED}")


def is_closed(stored: StoredSet) -> bool:
    """Whether a run finishes the set, or was killed while it did: it takes no more decisions."""
    filesystem, path = open_folder(stored.folder)
    return bool(filesystem.get_file_info(f"{path}/{CLOSED}").type == fs.FileType.File)


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
