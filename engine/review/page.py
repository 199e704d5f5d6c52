"""The pages of a review: the HTML page on which a person decides, and the markdown page of an ended review."""

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.domain.finding import read_findings
from engine.domain.model import POLES
from engine.domain.samples import Row
from engine.domain.verdict import RunResult
from engine.report.run_page import escape, write_findings, write_list, write_use
from engine.store.layout import PROPOSED, REVIEW_DATA, SAMPLES, VERDICT
from engine.store.proposals import read_deadline, read_decisions, read_rows, sum_up
from engine.store.store import StoredSet, read_document
from engine.text.formatting import capitalise, embed_json, format_cost, join_words, load_pages, name_reason

ENDED = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Review {handle}</title>
<h1>{handle}</h1><p>{message}. The set of run {run_id} no longer waits for a review.</p>
<p><a href="/v1/runs/{run_id}/report">Its report</a>, as it was proposed</p></html>
"""
TEMPLATES = Path(__file__).parent / "templates"


def render_review_page(stored: StoredSet, run_page: str | None = None) -> str:
    """Return the HTML page of a proposal; markup in texts is escaped.

    Args:
        run_page: the address of the run's page in Prefect's UI, if any.

    Raises:
        StoreError: the proposal cannot be read.
    """
    data = read_document(stored, REVIEW_DATA)
    rows = read_rows(stored, PROPOSED)
    ids = {row["id"] for row in rows}
    counted = sum_up(read_decisions(stored))
    packed = {
        "run": stored.run_id,
        "run_page": run_page,
        "traits": data["traits"],
        "rows": [_pack_row(row, data["samples"].get(str(row["id"]), {})) for row in rows],
        "decisions": {str(sample_id): item.said for sample_id, item in counted.items() if sample_id in ids},
        "corrections": {str(sample_id): item.text for sample_id, item in counted.items() if item.text},
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
            warnings=read_findings(read_document(stored, VERDICT)),
            packed=embed_json(packed),
        )
    )


def render_ended(stored: StoredSet) -> str:
    """Return the HTML page that replaces the review page once the review has ended."""
    message = html.escape(describe_review(stored.manifest))
    return ENDED.format(handle=html.escape(stored.handle), message=message, run_id=stored.run_id)


def write_ended_page(stored: StoredSet, result: RunResult, api_url: str | None) -> str:
    """Return the page as markdown, ordered like the proposal's page; ``api_url`` is the HTTP API's address, if any.

    Raises:
        StoreError: the set cannot be read.
    """
    manifest, verdict = stored.manifest, read_document(stored, VERDICT)
    is_attached, usd = stored.status == "attached", verdict.get("cost", {}).get("usd")
    rejected = [f"{name_reason(reason)}: {count:,}" for reason, count in verdict.get("reasons", {}).items()]
    use = write_use(stored, manifest["synth_type"] == "enrich", bool(write_findings(result.findings)), api_url)
    sections = [
        f"# {stored.handle}: {escape(result.headline)}\n\n**{escape(describe_review(manifest))}**",
        use if is_attached else "",
        write_list("Changed by people:", list_changes(manifest)) if is_attached else "",
        write_list("Warnings about the set as it was proposed:", write_findings(result.findings)),
        _write_kept(stored) if is_attached else "",
        write_list("## Not kept by the run", rejected),
        f"## Cost: {'nothing' if usd == 0 else format_cost(usd)}",
    ]
    return "\n\n".join(filter(None, sections))


def describe_review(manifest: Mapping[str, Any]) -> str:
    """Return a line about the end of a review: the status, person, time and reason."""
    review = manifest["review"]
    why = f": {review['why']}" if review.get("why") else ""
    who = f" by {review['who']}" if review.get("who") else ""
    return f"{capitalise(manifest['status'])}{who}, {review['when'][:16].replace('T', ' ')} UTC{why}"


def list_changes(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield people's changes to a proposal: the count and ids of samples, with the person of a single decision."""
    review = manifest["review"]
    people = {item["sample_id"]: item["key"] for item in manifest.get("decisions", ())}
    refused = review["refused"]
    moved = [number for number in review["other_pole"] if number not in refused]
    corrected = {entry["was"]: f" (now {entry['id']})" for entry in review.get("corrected", ())}
    for change, numbers in (("left out", refused), ("moved to the other pole", moved), ("corrected", corrected)):
        if numbers:
            named = [f"{at}{corrected.get(at, '')}{f' by {people[at]}' if at in people else ''}" for at in numbers]
            yield f"{len(named):,} {change}: {join_words(named)}"


def _pack_row(row: Row, shown: Mapping[str, Any]) -> dict[str, Any]:
    nearest = shown.get("nearest")
    return {
        "id": str(row["id"]),
        **{name: row[name] for name in ("trait", "pole", "text")},
        "pair": row["pair_id"],
        "subject": json.loads(row["scenario"]).get("subject", ""),
        **{name: shown.get(name) for name in ("position", "side")},
        "nearest": [str(nearest[0]), nearest[1]] if nearest else None,
    }


def _write_kept(stored: StoredSet) -> str:
    lines, rows = ["## Kept", ""], read_rows(stored, SAMPLES)
    for key, trait in read_document(stored, REVIEW_DATA)["traits"].items():
        for pole in POLES:
            texts = [row["text"] or "" for row in rows if (row["trait"], row["pole"]) == (key, pole)]
            lines.append(f"- **{escape(trait['name'])}, {escape(trait[pole])}**: {len(texts):,}")
            lines += [f"  - {escape(text)}" for text in texts[:1]]
    return "\n".join(lines)
