"""The page of a backfill as markdown: what came of it and what to do, why models failed, and a table of them all."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.report.run_page import escape
from engine.store.backfill_ledger import UNFINISHED_STATES, Ledger, ModelRow, ModelState
from engine.text.formatting import count_noun, tell_cost

# More rows than these are slow to draw and nobody reads them; failed ones come first, so that none is missed.
MAX_ROWS = 300
MAX_FAILED = 50
NOTE_LENGTH = 300
ORDER: tuple[ModelState, ...] = ("failed", "cancelled", "busy elsewhere", "runs", "attached", "waits", "skipped")
SAID: Mapping[ModelState, str] = {
    "failed": "failed",
    "cancelled": "cancelled",
    "busy elsewhere": "busy in other runs",
    "runs": "under way",
    "attached": "attached",
    "waits": "waiting",
    "skipped": "had theirs before",
}
TITLES: Mapping[ModelState, str] = {
    "failed": "Failed",
    "cancelled": "Cancelled",
    "busy elsewhere": "Busy elsewhere",
}
COLUMNS = ("model", "state", "kept", "rejected", "cost", "time", "run")
# Both of Prefect's pages that show an artifact, and both of its UIs, are three folders deep.
RUN = "../../runs/flow-run/"
NOTHING = "–"
# A space at which no line ends.
FIXED = "\u00a0"


def tell_backfill(ledger: Ledger, ended: bool) -> tuple[str, str]:
    """A headline, how many of how many, and a sentence: what came of the others, and what to do when it has ended."""
    counts = ledger.count()
    have = counts["attached"] + counts["skipped"]
    headline = f"{have:,} of {count_noun(len(ledger.rows), 'model')} have their samples"
    parts = [f"{counts[state]:,} {SAID[state]}" for state in ORDER if counts[state]]
    return headline, f"{', '.join(parts) or 'No models'}. {_tell_what_to_do(ledger, ended)}"


def write_backfill_page(ledger: Ledger, about: Mapping[str, Any], file: str, ended: bool) -> str:
    """The markdown of the page, while the backfill goes on and at its end.

    Args:
        about: what was asked for, by the names of the flow's parameters.
        file: where the ledger's file is, which has all rows.
    """
    headline, sentence = tell_backfill(ledger, ended)
    sections = [
        f"# {headline}\n\n**{escape(sentence)}**",
        _write_sums(ledger),
        *(_write_notes(state, ledger.list_in(state)) for state in TITLES),
        _write_rows(ledger, file),
        _write_request(about, file),
    ]
    return "\n\n".join(section for section in sections if section)


def _tell_what_to_do(ledger: Ledger, ended: bool) -> str:
    if not ended:
        return "It is under way."
    if not ledger.list_in(*UNFINISHED_STATES):
        return "Nothing is left to do."
    failed = "Put right what failed, as said below, and start" if ledger.list_in("failed") else "Start"
    return f"{failed} the backfill again with the same parameters: it does only what is left."


def _write_sums(ledger: Ledger) -> str:
    rows = ledger.rows
    kept = sum(row.kept or 0 for row in rows if row.state == "attached")
    rejected = sum(row.rejected or 0 for row in rows)
    parts = [f"{kept:,} samples attached", f"{rejected:,} rejected", f"cost {tell_cost(ledger.cost_usd)}"]
    spent = [row.seconds for row in rows if row.seconds is not None]
    if spent:
        parts.append(f"{_tell_time(sum(spent) / len(spent))} a model on average")
    return f"{'; '.join(parts)}."


def _write_notes(state: ModelState, rows: Sequence[ModelRow]) -> str:
    """Each in its own words: cells of a table have no room for them."""
    if not rows:
        return ""
    lines = [f"## {TITLES[state]}: {len(rows):,}", ""]
    for row in rows[:MAX_FAILED]:
        note = " ".join(row.note.split()) or "it says nothing of why"
        said = note if len(note) <= NOTE_LENGTH else f"{note[: NOTE_LENGTH - 1]}…"
        lines.append(f"- **{_link(row, row.handle)}**: {escape(said)}")
    if len(rows) > MAX_FAILED:
        lines.append(f"- … and {len(rows) - MAX_FAILED:,} more")
    return "\n".join(lines)


def _write_rows(ledger: Ledger, file: str) -> str:
    ordered = sorted(ledger.rows, key=lambda row: ORDER.index(row.state))
    lines = [
        "## Models",
        "",
        "| model | state | kept | rejected | cost | time | run |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    lines += [_write_row(row) for row in ordered[:MAX_ROWS]]
    if len(ordered) > MAX_ROWS:
        more = count_noun(len(ordered) - MAX_ROWS, "more model")
        lines += ["", f"{more} not shown: all are in `{file}`, and under Subflow Runs of the run page."]
    return "\n".join(lines)


def _write_row(row: ModelRow) -> str:
    kept = (
        NOTHING
        if row.kept is None
        else f"{row.kept}"
        if row.wanted is None
        else f"{row.kept}{FIXED}of{FIXED}{row.wanted}"
    )
    cells = (
        _link(row, row.handle),
        row.state,
        kept,
        NOTHING if row.rejected is None else f"{row.rejected:,}",
        NOTHING if row.cost_usd is None else tell_cost(row.cost_usd),
        NOTHING if row.seconds is None else _tell_time(row.seconds),
        NOTHING if row.run_id is None else _link(row, row.run_id[:8]),
    )
    return f"| {' | '.join(cells)} |"


def _write_request(about: Mapping[str, Any], file: str) -> str:
    asked = [f"- {name}: `{value}`" for name, value in about.items() if value not in (None, False)]
    return "\n".join(["## Asked for", "", *asked, f"- all rows: `{file}`"])


def _link(row: ModelRow, text: str) -> str:
    return escape(text) if row.run_id is None else f"[{escape(text)}]({RUN}{row.run_id})"


def _tell_time(seconds: float) -> str:
    """“8 s”, “3 min 20 s”."""
    whole = round(seconds)
    return f"{whole}{FIXED}s" if whole < 60 else f"{whole // 60}{FIXED}min{FIXED}{whole % 60}{FIXED}s"
