"""Renders the page on which a person reviews a proposed set, one file with everything in it."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from engine.domain.samples import Row
from engine.review.ended_page import describe_review
from engine.store.layout import PROPOSED, REVIEW_DATA, VERDICT
from engine.store.proposals import list_corrections, read_deadline, read_decisions, read_rows, sum_up
from engine.store.store import StoredSet, read_document
from engine.system.filesystem import read_bytes
from engine.text.formatting import embed_json, load_pages

ENDED = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Review {handle}</title>
<h1>{handle}</h1><p>{said}. The set of run {run_id} waits for nobody any more.</p>
<p><a href="/v1/runs/{run_id}/report">Its report</a>, as it was proposed</p></html>
"""
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
            warnings=read_document(stored, VERDICT).get("warnings", ()),
            packed=embed_json(packed),
        )
    )


def render_ended(stored: StoredSet) -> str:
    """What stands in the page's place once the review has ended."""
    said = escape(describe_review(stored.manifest))
    return ENDED.format(handle=escape(stored.handle), said=said, run_id=stored.run_id)


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
