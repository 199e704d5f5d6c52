"""Writes the run page of a set whose review has ended: what of the proposal is attached, and who changed what."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.domain.model import POLES
from engine.domain.verdict import RunResult
from engine.report.run_page import escape, write_list, write_use
from engine.store.layout import REVIEW_DATA, SAMPLES, VERDICT
from engine.store.proposals import read_rows
from engine.store.store import StoredSet, read_document
from engine.text.formatting import capitalise, format_cost, join_words, name_reason


def write_ended_page(stored: StoredSet, result: RunResult, api_url: str | None) -> str:
    """The page as markdown, in the order of the proposal's own; ``api_url`` is the HTTP API's address, if there is one.

    Raises:
        StoreError: the set cannot be read.
    """
    manifest, verdict = stored.manifest, read_document(stored, VERDICT)
    is_attached, usd = stored.status == "attached", verdict.get("cost", {}).get("usd")
    rejected = [f"{name_reason(reason)}: {count:,}" for reason, count in verdict.get("reasons", {}).items()]
    use = write_use(stored, manifest["synth_type"] == "enrich", bool(result.warnings), api_url)
    sections = [
        f"# {stored.handle}: {escape(result.headline)}\n\n**{escape(describe_review(manifest))}**",
        use if is_attached else "",
        write_list("Changed by people:", list_changes(manifest)) if is_attached else "",
        write_list("Warnings, of the set as it was proposed:", result.warnings),
        _write_kept(stored) if is_attached else "",
        write_list("## Not kept by the run", rejected),
        f"## Cost: {'nothing' if usd == 0 else format_cost(usd)}",
    ]
    return "\n\n".join(filter(None, sections))


def describe_review(manifest: Mapping[str, Any]) -> str:
    """Who has ended a review, when, and why."""
    review = manifest["review"]
    why = f": {review['why']}" if review.get("why") else ""
    who = f" by {review['who']}" if review.get("who") else ""
    return f"{capitalise(manifest['status'])}{who}, {review['when'][:16].replace('T', ' ')} UTC{why}"


def list_changes(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yields what people have changed of a proposal, by the ids of its samples, and who of them decided one by one."""
    review = manifest["review"]
    by = {item["sample_id"]: item["key"] for item in manifest.get("decisions", ())}
    refused = review["refused"]
    moved = [number for number in review["other_pole"] if number not in refused]
    corrected = {entry["was"]: f" (now {entry['id']})" for entry in review.get("corrected", ())}
    for what, numbers in (("left out", refused), ("put to the other pole", moved), ("corrected", corrected)):
        if numbers:
            named = [f"{at}{corrected.get(at, '')}{f' by {by[at]}' if at in by else ''}" for at in numbers]
            yield f"{len(named):,} {what}: {join_words(named)}"


def _write_kept(stored: StoredSet) -> str:
    """Writes how many samples each pole has, and the first of each."""
    lines, rows = ["## Kept", ""], read_rows(stored, SAMPLES)
    for key, trait in read_document(stored, REVIEW_DATA)["traits"].items():
        for pole in POLES:
            own = [row["text"] or "" for row in rows if (row["trait"], row["pole"]) == (key, pole)]
            lines.append(f"- **{escape(trait['name'])}, {escape(trait[pole])}**: {len(own):,}")
            lines += [f"  - {escape(text)}" for text in own[:1]]
    return "\n".join(lines)
