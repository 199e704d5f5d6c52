"""Renders the page on which a person reviews a proposed set, one file with everything in it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.domain.samples import Row
from engine.store.layout import PROPOSED, REVIEW_DATA
from engine.store.proposals import list_corrections, read_deadline, read_decisions, read_rows, sum_up
from engine.store.store import StoredSet
from engine.system.filesystem import read_bytes
from engine.text.formatting import embed_json, load_pages

TEMPLATES = Path(__file__).parent / "templates"


def render_review_page(stored: StoredSet, run_page: str | None = None) -> str:
    """The page of a proposal; markup in texts is escaped.

    Args:
        run_page: the address of the run's page in Prefect's UI, where there is one.

    Raises:
        StoreError: the proposal cannot be read.
    """
    data = json.loads(read_bytes(stored.file(REVIEW_DATA)))
    rows = read_rows(stored, PROPOSED)
    ids = {row["id"] for row in rows}
    decisions = read_decisions(stored)
    packed = {
        "run": stored.run_id,
        "run_page": run_page,
        "traits": data["traits"],
        "rows": _pack_rows(rows, data["samples"]),
        "decisions": {str(sample_id): said for sample_id, said in sum_up(decisions).items() if sample_id in ids},
        "corrections": {str(sample_id): text for sample_id, text in list_corrections(decisions).items()},
    }
    return (
        load_pages(TEMPLATES)
        .get_template("review.html.jinja")
        .render(
            handle=stored.handle,
            run_id=stored.run_id,
            run_page=run_page,
            count=len(packed["rows"]),
            until=f"{read_deadline(stored):%Y-%m-%d}",
            packed=embed_json(packed),
        )
    )


def _pack_rows(rows: Sequence[Row], samples: Mapping[str, Any]) -> list[dict[str, Any]]:
    packed = []
    for row in rows:
        shown = samples.get(str(row["id"]), {})
        # Ids as texts: they are keys on the page.
        nearest = [str(shown["nearest"][0]), shown["nearest"][1]] if shown.get("nearest") else None
        packed.append(
            {
                "id": str(row["id"]),
                **{name: row[name] for name in ("trait", "pole", "text")},
                "pair": row["pair_id"],
                "subject": json.loads(row["scenario"]).get("subject", ""),
                **{name: shown.get(name) for name in ("position", "side")},
                "nearest": nearest,
            }
        )
    return packed
