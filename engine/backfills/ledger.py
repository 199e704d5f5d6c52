"""The ledger of a backfill: one row for each model, with the state and outcome of its run, kept as a JSON file."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from engine.store.layout import BACKFILLS
from engine.system.filesystem import read_bytes, replace_file

ModelState = Literal["waits", "runs", "in a batch", "attached", "skipped", "failed", "busy elsewhere", "cancelled"]
MODEL_STATES: tuple[ModelState, ...] = get_args(ModelState)
# A backfill that is started again does the models in these states.
UNFINISHED_STATES: tuple[ModelState, ...] = ("waits", "runs", "failed", "busy elsewhere", "cancelled")


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model: ``kept`` of ``wanted`` exemplars over all traits and poles; ``note`` is a sentence or empty.

    ``older_sets`` and ``older_samples`` are those that were made for another definition than its present one.
    ``kept``, ``wanted`` and ``rejected``, which does not count what is to spare, are None where they are not known,
    ``cost_usd`` is None where the price is not known, and ``run_id`` is None where no run was made. ``warnings`` counts
    those on what was attached. ``at_limit`` says that it was the backfill's limit that cancelled it.
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
    warnings: int = 0
    older_sets: int = 0
    older_samples: int = 0
    at_limit: bool = False


class Ledger:
    """The rows in the order in which the models were named, and what this backfill spent.

    ``spent_usd`` counts toward the limit, ``max_usd``; without a limit both are None. It may exceed the cost of the
    runs: a call without a reply counts at its highest possible cost, in sum ``unconfirmed_usd``. ``ended`` is True if
    the backfill wrote the ledger at its end, and False if it died before.
    """

    def __init__(self, rows: Iterable[ModelRow], spent_usd: float | None = None, ended: bool = False) -> None:
        self._rows = {row.handle: row for row in rows}
        self.spent_usd = spent_usd
        self.ended = ended
        self.max_usd: float | None = None
        self.unconfirmed_usd = 0.0

    @property
    def rows(self) -> tuple[ModelRow, ...]:
        """All rows, in order."""
        return tuple(self._rows.values())

    def update(self, handle: str, **changes: Any) -> ModelRow:
        """Changes fields of a model's row and returns the new row."""
        self._rows[handle] = row = replace(self._rows[handle], **changes)
        return row

    def replace_row(self, row: ModelRow) -> None:
        """Replaces the row of the same model; a row of a model that this ledger does not have is ignored."""
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
        """The share of the models, in [0, 1], that are finished: neither waiting nor running."""
        open_rows = len(self.list_in("waits", "runs"))
        return 1 - open_rows / len(self._rows) if self._rows else 1.0

    @property
    def cost_usd(self) -> float | None:
        """The cost of all runs together; None where no run's cost is known."""
        costs = [row.cost_usd for row in self._rows.values() if row.cost_usd is not None]
        return sum(costs) if costs else None


def locate_ledger(samples_uri: str, run_id: str) -> str:
    """The file of a backfill's ledger."""
    return f"{samples_uri.rstrip('/')}/{BACKFILLS}/{run_id}.json"


def read_ledger(samples_uri: str, run_id: str) -> Ledger:
    """The ledger of a backfill as last written; a ledger without rows if the file is missing or damaged.

    Raises:
        StoreError: the file exists but cannot be read.
    """
    try:
        document = json.loads(read_bytes(locate_ledger(samples_uri, run_id)))
        return Ledger((ModelRow(**row) for row in document["models"]), document["spent_usd"], document["ended"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return Ledger(())


def write_ledger(samples_uri: str, run_id: str, ledger: Ledger) -> None:
    """Writes the file of a backfill's ledger atomically: a JSON document with counts by state, costs, and the rows.

    Raises:
        StoreError: the file cannot be written.
    """
    document = {
        "run_id": run_id,
        "counts": {state: count for state in MODEL_STATES if (count := ledger.count()[state])},
        "cost_usd": ledger.cost_usd,
        "spent_usd": ledger.spent_usd,
        "unconfirmed_usd": ledger.unconfirmed_usd,
        "max_usd": ledger.max_usd,
        "ended": ledger.ended,
        "models": [asdict(row) for row in ledger.rows],
    }
    content = f"{json.dumps(document, indent=1, ensure_ascii=False)}\n"
    replace_file(locate_ledger(samples_uri, run_id), content.encode())
