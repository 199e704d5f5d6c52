"""Writes the markdown page of a backfill: its outcome, what to do next, why models failed, and all models."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.backfills.ledger import UNFINISHED_STATES, Ledger, ModelRow, ModelState, describe_state
from engine.report.run_page import escape
from engine.text.formatting import count_noun, format_cost, shorten

# More rows are slow to draw and nobody reads them. Failed models come first, so that none of them is missed.
MAX_ROWS = 300
MAX_FAILED = 50
NOTE_LENGTH = 300
ORDER: tuple[ModelState, ...] = ("failed", "cancelled", "busy elsewhere", "runs", "attached", "waits", "skipped")
STATE_WORDS: Mapping[ModelState, str] = {
    "failed": "failed",
    "cancelled": "cancelled",
    "busy elsewhere": "busy in other runs",
    "runs": "under way",
    "attached": "attached",
    "waits": "waiting",
    "skipped": "had their samples before",
}
TITLES: Mapping[ModelState, str] = {
    "failed": "Failed",
    "cancelled": "Cancelled",
    "busy elsewhere": "Busy elsewhere",
}
COLUMNS = ("model", "state", "kept", "rejected", "cost", "time", "run")
# Relative to the page of an artifact: both of Prefect's pages that show one, in both of its UIs, are three levels deep.
RUN = "../../runs/flow-run/"
NOTHING = "–"
# A space at which no line breaks.
NO_BREAK_SPACE = "\u00a0"


def describe_backfill(ledger: Ledger, ended: bool) -> tuple[str, str]:
    """Describes a backfill in a headline and a line of text.

    The headline says how many of the models have their samples; the text counts the models by state and says what to do
    next once the backfill has ended.
    """
    counts = ledger.count()
    have = counts["attached"] + counts["skipped"]
    headline = f"{have:,} of {count_noun(len(ledger.rows), 'model')} {'has its' if have == 1 else 'have their'} samples"
    if warned := sum(row.warnings > 0 for row in ledger.list_in("attached")):
        headline += f", {warned:,} with warnings: look before you train"
    parts = [f"{counts[state]:,} {STATE_WORDS[state]}" for state in ORDER if counts[state]]
    return headline, f"{', '.join(parts) or 'No models'}. {_describe_next_step(ledger, ended)}"


def write_backfill_page(ledger: Ledger, about: Mapping[str, Any], file: str, ended: bool) -> str:
    """Writes the page's markdown, while the backfill runs and at its end.

    Args:
        about: the flow's parameters by name.
        file: the location of the ledger's file, which has all rows.
    """
    headline, sentence = describe_backfill(ledger, ended)
    sections = [
        f"# {headline}\n\n**{escape(sentence)}**",
        _write_sums(ledger),
        *(_write_notes(state, ledger.list_in(state)) for state in TITLES),
        _write_rows(ledger, file),
        _write_request(about, file),
    ]
    return "\n\n".join(section for section in sections if section)


def _describe_next_step(ledger: Ledger, ended: bool) -> str:
    if not ended:
        return "It is under way."
    if not ledger.list_in(*UNFINISHED_STATES):
        return "Nothing is left to do."
    failed = "Fix what failed, as explained below, and start" if ledger.list_in("failed") else "Start"
    return f"{failed} the backfill again with the same parameters: it does only what is left."


def _write_sums(ledger: Ledger) -> str:
    rows = ledger.rows
    kept = sum(row.kept or 0 for row in rows if row.state == "attached")
    rejected = sum(row.rejected or 0 for row in rows)
    parts = [f"{count_noun(kept, 'sample')} attached", f"{rejected:,} rejected", f"cost {format_cost(ledger.cost_usd)}"]
    spent = [row.seconds for row in rows if row.seconds is not None]
    if spent:
        parts.append(f"{_format_time(sum(spent) / len(spent))} a model on average")
    return f"{'; '.join(parts)}."


def _write_notes(state: ModelState, rows: Sequence[ModelRow]) -> str:
    """Lists the models of one state with their messages, for which a table's cells have no room."""
    if not rows:
        return ""
    lines = [f"## {TITLES[state]}: {len(rows):,}", ""]
    for row in rows[:MAX_FAILED]:
        said = escape(shorten(" ".join(row.note.split()), NOTE_LENGTH))
        lines.append(f"- **{_link(row, row.handle)}**: {said or 'no reason is known'}")
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
        else f"{row.kept}{NO_BREAK_SPACE}of{NO_BREAK_SPACE}{row.wanted}"
    )
    cells = (
        _link(row, row.handle),
        describe_state(row),
        kept,
        NOTHING if row.rejected is None else f"{row.rejected:,}",
        NOTHING if row.cost_usd is None else format_cost(row.cost_usd),
        NOTHING if row.seconds is None else _format_time(row.seconds),
        NOTHING if row.run_id is None else _link(row, row.run_id[:8]),
    )
    return f"| {' | '.join(cells)} |"


def _write_request(about: Mapping[str, Any], file: str) -> str:
    asked = [f"- {name}: `{value}`" for name, value in about.items() if value not in (None, False)]
    return "\n".join(["## Asked for", "", *asked, f"- all rows: `{file}`"])


def _link(row: ModelRow, text: str) -> str:
    return escape(text) if row.run_id is None else f"[{escape(text)}]({RUN}{row.run_id})"


def _format_time(seconds: float) -> str:
    """Formats a duration: “8 s”, “3 min 20 s”."""
    whole = round(seconds)
    words = f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
    return words.replace(" ", NO_BREAK_SPACE)
