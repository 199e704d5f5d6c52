"""What people have decided of a proposed set so far, a line of a file for each, on the disk when it is told to be.

The latest decision on a sample counts. When the review ends they stand in the manifest.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from engine.errors import InputError
from engine.store.changes import put_file
from engine.store.layout import DECISIONS
from engine.store.sample_set import read_manifest
from engine.store.store import UNREADABLE, StoredSet, translate_errors
from engine.store.writers import lock_model
from engine.system.filesystem import read_bytes

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
    place = f"The decision on sample {sample_id}"
    # The set does not become another one meanwhile, and nobody else adds a decision.
    with translate_errors(stored.folder, f"{place} was not kept: make it again"), lock_model(stored.folder):
        manifest = read_manifest(stored.folder)
        if manifest is None or manifest.get("status") != "proposed":
            raise InputError(f"The set of run {stored.run_id} takes no more decisions: its review has ended")
        line = (json.dumps(asdict(decision)) + "\n").encode()
        put_file(stored.folder, DECISIONS, _read_lines(stored) + line)
    return decision


def read_decisions(stored: StoredSet) -> list[Decision]:
    """All decisions on a set, in the order in which they were made: its manifest's, once its review has ended.

    Raises:
        StoreError: they cannot be read.
    """
    if "decisions" in stored.manifest:
        return [Decision(**entry) for entry in stored.manifest["decisions"]]
    with translate_errors(stored.folder, UNREADABLE):
        return [Decision(**json.loads(line)) for line in _read_lines(stored).splitlines()]


def sum_up(decisions: Sequence[Decision]) -> dict[int, Said]:
    """The latest decision on each sample that has one, by its id."""
    latest = {item.sample_id: item.said for item in decisions}
    return {sample_id: said for sample_id, said in latest.items() if said != "undecided"}


def list_decided(decisions: Mapping[int, Said], said: Said) -> list[int]:
    """The ids of the samples of which that was said, sorted."""
    return sorted(sample_id for sample_id, found in decisions.items() if found == said)


def _read_lines(stored: StoredSet) -> bytes:
    try:
        return read_bytes(stored.file(DECISIONS))
    except FileNotFoundError:
        return b""
