"""Describe the outcome of a backfill and write its markdown page: a table of all models, failed ones first."""

from collections.abc import Mapping

from engine.backfills.ledger import UNFINISHED_STATES, Ledger, ModelRow, ModelState
from engine.report.run_page import escape
from engine.text.formatting import capitalise, count_noun, format_cost, format_seconds, shorten

# More rows render slowly, and nobody reads them.
MAX_ROWS = 300
MAX_NOTE_CHARS = 300
# Limits of a sentence: failed models, and characters of each note.
MAX_NAMED, MAX_NAMED_CHARS = 5, 200
# The keys are in the order of the page.
STATE_WORDS: Mapping[ModelState, str] = {
    "failed": "failed",
    "cancelled": "cancelled",
    "busy elsewhere": "busy in other runs",
    "runs": "under way",
    "in a batch": "waiting for a provider's batch",
    "attached": "attached",
    "waits": "waiting",
    "skipped": "already had samples",
}
# Relative to an artifact's page: both Prefect pages that show an artifact, in both UIs, are three levels deep.
RUN = "../../runs/flow-run/"
NOTHING = "–"


def describe_backfill(ledger: Ledger) -> tuple[str, str]:
    """Return a headline and a line of text about a backfill.

    The headline counts the models that have their samples. The text counts the models by state and, once the backfill
    has ended, says what to do next.
    """
    counts = ledger.count()
    have = counts["attached"] + counts["skipped"]
    headline = f"{have:,} of {count_noun(len(ledger.rows), 'model')} {'has its' if have == 1 else 'have their'} samples"
    if warned := sum(row.warnings > 0 for row in ledger.list_in("attached")):
        headline += f", {warned:,} with warnings: look before you train"
    if waiting := counts["in a batch"]:
        headline += f"; {count_noun(waiting, 'model waits', 'models wait')} for a provider's batch"
    parts = [f"{counts[state]:,} {words}" for state, words in STATE_WORDS.items() if counts[state]]
    return headline, f"{', '.join(parts) or 'No models'}. {_describe_next_step(ledger)}"


def describe_end(ledger: Ledger, stopped: BaseException | None = None) -> str:
    """Return some sentences about an ended backfill: the headline, the failed models, and what to do.

    Args:
        stopped: the error that ended the backfill early, if any.
    """
    headline, sentence = describe_backfill(ledger)
    sentences = [headline]
    if failed := ledger.list_in("failed"):
        more = f"; and {len(failed) - MAX_NAMED:,} more" if len(failed) > MAX_NAMED else ""
        sentences.append(f"Failed: {'; '.join(map(_name, failed[:MAX_NAMED]))}{more}")
    if stopped is not None:
        sentences.append(f"Stopped: {stopped}")
    if ledger.max_usd is not None:
        sentences.append(capitalise(_describe_cost(ledger)))
    sentences.append(sentence)
    return " ".join(each if each.endswith(("?", "!")) else f"{each.rstrip('.')}." for each in sentences)


def write_backfill_page(ledger: Ledger, file: str) -> str:
    """Return the page's markdown, for a running or ended backfill; ``file`` is the ledger file with all rows."""
    headline, sentence = describe_backfill(ledger)
    kept = sum(row.kept or 0 for row in ledger.list_in("attached"))
    rejected = sum(row.rejected or 0 for row in ledger.rows)
    sums = f"{count_noun(kept, 'sample')} attached; {rejected:,} rejected; {_describe_cost(ledger)}."
    if older := sum(row.older_samples for row in ledger.rows):
        sets = count_noun(sum(row.older_sets for row in ledger.rows), "set")
        sums += f" {count_noun(older, 'sample')} in {sets} were made for an older definition (*older*)."
    ordered = sorted(ledger.rows, key=lambda row: list(STATE_WORDS).index(row.state))
    lines = [
        f"# {headline}\n\n**{escape(sentence)}**\n\n{sums}\n",
        "| model | state | kept | rejected | cost | time | older | why |",
        "|---|---|--:|--:|--:|--:|--:|---|",
        *map(_write_row, ordered[:MAX_ROWS]),
    ]
    if len(ordered) > MAX_ROWS:
        more = count_noun(len(ordered) - MAX_ROWS, "more model")
        lines.append(f"\n{more} not shown: all are in `{file}`, and under Subflow Runs of the run page.")
    return "\n".join(lines)


def describe_row(row: ModelRow) -> str:
    """Return a line about a model: its state, the kept samples if some are missing, the time, and the reason."""
    kept = "" if row.kept in (None, row.wanted) else f", {row.kept} of {row.wanted} kept"
    took = "" if row.seconds is None else f", {format_seconds(row.seconds)}"
    return f"{row.handle}: {_describe_state(row)}{kept}{took}" + (f" ({row.note})" if row.note else "")


def _describe_cost(ledger: Ledger) -> str:
    """Return “cost $0.39, $0.11 held for calls without a reply, limit $0.50”."""
    held = f", {format_cost(ledger.unconfirmed_usd)} held for calls without a reply" if ledger.unconfirmed_usd else ""
    limit = "" if ledger.max_usd is None else f", limit {format_cost(ledger.max_usd)}"
    return f"cost {format_cost(ledger.cost_usd)}{held}{limit}"


def _describe_next_step(ledger: Ledger) -> str:
    if not ledger.ended:
        return "It is under way."
    if ledger.list_in("in a batch"):
        return "A provider answers a batch within a day; then the models that wait for it resume."
    if not ledger.list_in(*UNFINISHED_STATES):
        older = sum(row.older_sets > 0 for row in ledger.rows)
        outdated = f"{count_noun(older, 'model has', 'models have')} samples made for an older definition"
        return f"{outdated}: with refresh a backfill makes them anew." if older else "Nothing is left to do."
    if any(row.at_limit for row in ledger.rows):
        note = "its limit counts anew for each start, and a nightly one resumes the next night"
        return f"Start the backfill again, as it was or with a higher limit: it does only what is left, {note}."
    if ledger.list_in("failed"):
        return "Fix what failed, be it a name in the parameters, and start again: a backfill does only what is left."
    return "Start the backfill again with the same parameters: it does only what is left."


def _write_row(row: ModelRow) -> str:
    name = escape(row.handle)
    cells = (
        name if row.run_id is None else f"[{name}]({RUN}{row.run_id})",
        _describe_state(row),
        NOTHING if row.kept is None else f"{row.kept} of {row.wanted}",
        NOTHING if row.rejected is None else f"{row.rejected:,}",
        NOTHING if row.cost_usd is None else format_cost(row.cost_usd),
        NOTHING if row.seconds is None else format_seconds(row.seconds),
        f"{row.older_samples:,}" if row.older_sets else NOTHING,
        escape(shorten(" ".join(row.note.split()), MAX_NOTE_CHARS)),
    )
    return f"| {' | '.join(cells)} |"


def _name(row: ModelRow) -> str:
    """Return the handle and note of a model; many notes already begin with the handle."""
    note = shorten(row.note, MAX_NAMED_CHARS)
    return note if note.startswith(row.handle) else f"{row.handle}: {note}"


def _describe_state(row: ModelRow) -> str:
    return f"{row.state}, with {count_noun(row.warnings, 'warning')}" if row.warnings else row.state
