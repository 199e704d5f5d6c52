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
# A restarted backfill works on the models in these states.
UNFINISHED_STATES: tuple[ModelState, ...] = ("waits", "runs", "failed", "busy elsewhere", "cancelled")


@dataclass(frozen=True, slots=True)
class ModelRow:
    """The state and outcome of one model: it kept ``kept`` of ``wanted`` exemplars over all traits and poles.

    ``older_sets`` and ``older_samples`` count sets and samples made for another definition than the present one.
    ``kept``, ``wanted`` and ``rejected`` are None if unknown; ``rejected`` excludes surplus samples. ``cost_usd`` is
    None if the price is unknown, and ``run_id`` is None if no run was created. ``note`` is a sentence or empty.
    ``warnings`` counts the warnings on the attached set. ``at_limit``: the backfill's cost limit cancelled the run.
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
    """The rows of all models, in the order of their selection, and the money that this backfill spent.

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
        """All rows, in the order of selection."""
        return tuple(self._rows.values())

    def update(self, handle: str, **changes: Any) -> ModelRow:
        """Change fields of a model's row and return the new row."""
        self._rows[handle] = row = replace(self._rows[handle], **changes)
        return row

    def replace_row(self, row: ModelRow) -> None:
        """Replace the row of the same model; ignore a row of a model that is not in this ledger."""
        if row.handle in self._rows:
            self._rows[row.handle] = row

    def list_in(self, *states: ModelState) -> list[ModelRow]:
        """Return the rows in any of the given states."""
        return [row for row in self._rows.values() if row.state in states]

    def count(self) -> Counter[ModelState]:
        """Count the rows in each state."""
        return Counter(row.state for row in self._rows.values())

    @property
    def share(self) -> float:
        """The share of finished models, in [0, 1]: neither waiting nor running."""
        open_rows = len(self.list_in("waits", "runs"))
        return 1 - open_rows / len(self._rows) if self._rows else 1.0

    @property
    def cost_usd(self) -> float | None:
        """The total cost of all runs; None if no run's cost is known."""
        costs = [row.cost_usd for row in self._rows.values() if row.cost_usd is not None]
        return sum(costs) if costs else None


def locate_ledger(samples_uri: str, run_id: str) -> str:
    """Return the path of a backfill's ledger file."""
    return f"{samples_uri.rstrip('/')}/{BACKFILLS}/{run_id}.json"


def read_ledger(samples_uri: str, run_id: str) -> Ledger:
    """Return the ledger of a backfill as last written; without rows if the file is missing or damaged.

    Raises:
        StoreError: the file exists but cannot be read.
    """
    try:
        document = json.loads(read_bytes(locate_ledger(samples_uri, run_id)))
        return Ledger((ModelRow(**row) for row in document["models"]), document["spent_usd"], document["ended"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return Ledger(())


def write_ledger(samples_uri: str, run_id: str, ledger: Ledger) -> None:
    """Write the ledger file of a backfill atomically: a JSON document with counts by state, costs and rows.

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
