"""The ledger of a backfill: a row for each of its models, from before its run to what came of it, and their sums."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from engine.system.filesystem import read_bytes, replace_file

# A folder in the root of the sample store that readers of whole folders pass over.
BACKFILLS = "_backfills"
ModelState = Literal["waits", "runs", "attached", "skipped", "failed", "busy elsewhere", "cancelled"]
MODEL_STATES: tuple[ModelState, ...] = get_args(ModelState)
# What a second start has to do.
LEFT: tuple[ModelState, ...] = ("waits", "runs", "failed", "busy elsewhere", "cancelled")

SAID: Mapping[ModelState, str] = {
    "waits": "were not begun",
    "runs": "are under way",
    "attached": "got their set",
    "skipped": "were passed over",
    "failed": "failed",
    "busy elsewhere": "are worked on by other runs",
    "cancelled": "were cancelled",
}
NAMED, NOTE_SHOWN = 5, 200


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model: ``kept`` of ``wanted`` exemplars over all traits and poles; ``note`` is a sentence, or empty.

    ``kept``, ``wanted`` and ``rejected`` are None where that is not known, ``cost_usd`` where no price is, and
    ``run_id`` where no run was made.
    """

    handle: str
    state: ModelState = "waits"
    kept: int | None = None
    wanted: int | None = None
    rejected: int | None = None
    cost_usd: float | None = None
    run_id: str | None = None
    seconds: float | None = None
    note: str = ""


class Ledger:
    """The rows, in the order in which the models were named, and what was spent on them by this backfill.

    ``spent_usd`` may be more than the runs cost, by calls that broke off; None where nothing bounds it. ``ended`` says
    that it was written at the end, and not by one that died since.
    """

    def __init__(self, rows: Iterable[ModelRow], spent_usd: float | None = None, ended: bool = False) -> None:
        self._rows = {row.handle: row for row in rows}
        self.spent_usd = spent_usd
        self.ended = ended

    @property
    def rows(self) -> tuple[ModelRow, ...]:
        """All of them."""
        return tuple(self._rows.values())

    def note(self, handle: str, **changes: Any) -> ModelRow:
        """Changes the row of a model."""
        self._rows[handle] = row = replace(self._rows[handle], **changes)
        return row

    def take(self, row: ModelRow) -> None:
        """Puts a row in the place of the model's own; one of no model of this ledger is left out."""
        if row.handle in self._rows:
            self._rows[row.handle] = row

    def list_in(self, *states: ModelState) -> list[ModelRow]:
        """The rows that are in one of these states."""
        return [row for row in self._rows.values() if row.state in states]

    def count(self) -> Counter[ModelState]:
        """How many rows are in each state."""
        return Counter(row.state for row in self._rows.values())

    @property
    def share(self) -> float:
        """The share of the models that nothing more happens to."""
        open_rows = len(self.list_in("waits", "runs"))
        return 1 - open_rows / len(self._rows) if self._rows else 1.0

    @property
    def cost_usd(self) -> float | None:
        """What all runs cost together; None where no price is known."""
        costs = [row.cost_usd for row in self._rows.values() if row.cost_usd is not None]
        return sum(costs) if costs else None


def locate_ledger(samples_uri: str, run_id: str) -> str:
    """The file of a backfill's ledger."""
    return f"{samples_uri.rstrip('/')}/{BACKFILLS}/{run_id}.json"


def read_ledger(samples_uri: str, run_id: str) -> Ledger:
    """The ledger of a backfill as it was last written; one without rows where there is none, or none that is whole.

    Raises:
        StoreError: it is there and cannot be read.
    """
    try:
        return parse_ledger(read_bytes(locate_ledger(samples_uri, run_id)))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return Ledger(())


def write_ledger(samples_uri: str, run_id: str, ledger: Ledger, about: Mapping[str, Any]) -> None:
    """Writes the file of a backfill's ledger in one move.

    Raises:
        StoreError: it cannot be written.
    """
    replace_file(locate_ledger(samples_uri, run_id), render_ledger(ledger, about))


def render_ledger(ledger: Ledger, about: Mapping[str, Any]) -> bytes:
    """The ledger as a JSON document: what it is about, counts by state, and the rows."""
    document = {
        **about,
        "counts": {state: count for state in MODEL_STATES if (count := ledger.count()[state])},
        "cost_usd": ledger.cost_usd,
        "spent_usd": ledger.spent_usd,
        "ended": ledger.ended,
        "models": [asdict(row) for row in ledger.rows],
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def parse_ledger(content: bytes) -> Ledger:
    """The ledger of a document; fields that a newer version has added are left out."""
    known = set(ModelRow.__dataclass_fields__)
    document = json.loads(content)
    rows = ({name: value for name, value in row.items() if name in known} for row in document["models"])
    return Ledger((ModelRow(**row) for row in rows), document.get("spent_usd"), document.get("ended") is True)


def tell_ledger(ledger: Ledger, stopped: BaseException | None = None) -> str:
    """What came of a backfill, in a sentence or three: how many models, what failed, and what to do."""
    counts = ledger.count()
    parts = [f"{counts[state]} {SAID[state]}" for state in MODEL_STATES if counts[state]]
    sentences = [f"Of {len(ledger.rows)} models {', '.join(parts)}" if parts else "No models"]
    failed = ledger.list_in("failed")
    if failed:
        named = "; ".join(map(_name, failed[:NAMED]))
        more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        sentences.append(f"Failed: {named}{more}")
    if stopped is not None:
        sentences.append(f"Stopped: {stopped}")
    if ledger.list_in(*LEFT):
        sentences.append("Start it again: it does only what is left")
    return " ".join(sentence if sentence.endswith(("?", "!")) else f"{sentence.rstrip('.')}." for sentence in sentences)


def _name(row: ModelRow) -> str:
    """What came of a model; many a note begins with its handle already."""
    note = _cut(row.note)
    return note if note.startswith(row.handle) else f"{row.handle}: {note}"


def _cut(note: str) -> str:
    return note if len(note) <= NOTE_SHOWN else f"{note[: NOTE_SHOWN - 1]}…"
