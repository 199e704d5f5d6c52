"""Says in words what came of a backfill, and writes its markdown page: why models failed, and all models."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.backfills.ledger import UNFINISHED_STATES, Ledger, ModelRow, ModelState
from engine.report.run_page import escape
from engine.text.formatting import capitalise, count_noun, format_cost, shorten

# More rows are slow to draw and nobody reads them. Failed models come first, so that none of them is missed.
MAX_ROWS = 300
MAX_FAILED = 50
# In a sentence.
MAX_NAMED, MAX_NAMED_CHARS = 5, 200
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
EXPLAINED: tuple[ModelState, ...] = ("failed", "cancelled", "busy elsewhere")
# Relative to the page of an artifact: both of Prefect's pages that show one, in both of its UIs, are three levels deep.
RUN = "../../runs/flow-run/"
NOTHING = "–"
# Below this many seconds they are shown as such.
MAX_SHOWN_SECONDS = 90
# A space at which no line breaks.
NO_BREAK_SPACE = "\u00a0"


def describe_backfill(ledger: Ledger) -> tuple[str, str]:
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
    return headline, f"{', '.join(parts) or 'No models'}. {_describe_next_step(ledger)}"


def describe_end(ledger: Ledger, stopped: BaseException | None = None) -> str:
    """Describes a backfill that has ended in some sentences: the headline, what failed, and what to do.

    Args:
        stopped: the error that ended the backfill early, if one did.
    """
    headline, sentence = describe_backfill(ledger)
    sentences = [headline]
    if failed := ledger.list_in("failed"):
        more = f"; and {len(failed) - MAX_NAMED:,} more" if len(failed) > MAX_NAMED else ""
        sentences.append(f"Failed: {'; '.join(map(_name, failed[:MAX_NAMED]))}{more}")
    if stopped is not None:
        sentences.append(f"Stopped: {stopped}")
    sentences.append(sentence)
    return " ".join(each if each.endswith(("?", "!")) else f"{each.rstrip('.')}." for each in sentences)


def describe_state(row: ModelRow) -> str:
    """The state of a model, with the number of warnings on what was attached: “attached, with 2 warnings”."""
    return f"{row.state}, with {count_noun(row.warnings, 'warning')}" if row.warnings else row.state


def format_seconds(seconds: float) -> str:
    """“50 s”, “7 min”, “2 h 5 min”."""
    if seconds < MAX_SHOWN_SECONDS:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def write_backfill_page(ledger: Ledger, about: Mapping[str, Any], file: str) -> str:
    """Writes the page's markdown, while the backfill runs and at its end.

    Args:
        about: the flow's parameters by name.
        file: the location of the ledger's file, which has all rows.
    """
    headline, sentence = describe_backfill(ledger)
    sections = [
        f"# {headline}\n\n**{escape(sentence)}**",
        _write_sums(ledger),
        *(_write_notes(state, ledger.list_in(state)) for state in EXPLAINED),
        _write_rows(ledger, file),
        _write_request(about, file),
    ]
    return "\n\n".join(section for section in sections if section)


def _describe_next_step(ledger: Ledger) -> str:
    if not ledger.ended:
        return "It is under way."
    if not ledger.list_in(*UNFINISHED_STATES):
        return "Nothing is left to do."
    failed = "Fix what failed and start" if ledger.list_in("failed") else "Start"
    return f"{failed} the backfill again with the same parameters: it does only what is left."


def _write_sums(ledger: Ledger) -> str:
    rows = ledger.rows
    kept = sum(row.kept or 0 for row in rows if row.state == "attached")
    rejected = sum(row.rejected or 0 for row in rows)
    parts = [f"{count_noun(kept, 'sample')} attached", f"{rejected:,} rejected", f"cost {format_cost(ledger.cost_usd)}"]
    spent = [row.seconds for row in rows if row.seconds is not None]
    if spent:
        parts.append(f"{format_seconds(sum(spent) / len(spent))} a model on average")
    return f"{'; '.join(parts)}."


def _write_notes(state: ModelState, rows: Sequence[ModelRow]) -> str:
    """Lists the models of one state with their messages, for which a table's cells have no room."""
    if not rows:
        return ""
    lines = [f"## {capitalise(state)}: {len(rows):,}", ""]
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
    kept = NOTHING if row.kept is None else f"{row.kept}{NO_BREAK_SPACE}of{NO_BREAK_SPACE}{row.wanted}"
    cells = (
        _link(row, row.handle),
        describe_state(row),
        kept,
        NOTHING if row.rejected is None else f"{row.rejected:,}",
        NOTHING if row.cost_usd is None else format_cost(row.cost_usd),
        NOTHING if row.seconds is None else format_seconds(row.seconds).replace(" ", NO_BREAK_SPACE),
        NOTHING if row.run_id is None else _link(row, row.run_id[:8]),
    )
    return f"| {' | '.join(cells)} |"


def _write_request(about: Mapping[str, Any], file: str) -> str:
    asked = [f"- {name}: `{value}`" for name, value in about.items() if value not in (None, False)]
    return "\n".join(["## Asked for", "", *asked, f"- all rows: `{file}`"])


def _link(row: ModelRow, text: str) -> str:
    return escape(text) if row.run_id is None else f"[{escape(text)}]({RUN}{row.run_id})"


def _name(row: ModelRow) -> str:
    """The handle and note of a model; many notes begin with the handle already."""
    note = shorten(row.note, MAX_NAMED_CHARS)
    return note if note.startswith(row.handle) else f"{row.handle}: {note}"
