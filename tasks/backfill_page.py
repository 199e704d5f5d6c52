"""The page of a backfill, in markdown."""

from collections.abc import Mapping
from typing import Any

from engine.ledger import Ledger


def write_backfill_page(ledger: Ledger, about: Mapping[str, Any]) -> str:
    """The table."""
    lines = [f"# {dict(ledger.count())}", "", "| model | state | kept | run |", "|---|---|---|---|"]
    return "\n".join(
        lines + [f"| {row.handle} | {row.state} | {row.kept} | {row.run_id} |" for row in ledger.rows[:100]]
    )
