"""Writes the run page as markdown: the verdict, what to do next, counts, samples, files, reasons and cost.

Pictures and the figures of a set are in the report, which the page links.
"""

import re
from collections.abc import Sequence

from engine.choosing.rounds import Rounds
from engine.domain.model import POLES
from engine.domain.verdict import Verdict
from engine.estimate.estimate import Estimate
from engine.report.costs import Bill, Costs, sum_costs
from engine.report.headline import NOTHING_ATTACHED, count_others, list_warnings, state_outcome
from engine.report.next_steps import write_next_steps
from engine.report.remedies import explain_failure
from engine.report.tables.costs import describe_spending, format_tokens, list_remarks
from engine.report.wording import EXPLANATIONS
from engine.store.layout import REPORT
from engine.store.store import StoredSet
from engine.text.formatting import count_noun, format_cost, name_reason

# A page with the samples of more traits is too long to be looked at; the report has them all.
MAX_TRAITS = 6
SHOWN_SAMPLES = 3
BAR_CELLS = 16

# Backslashes, since one of Prefect's two pages shows character references literally.
_MARKUP = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>#|&~"})
# What opens a list, a rule or an underline.
_OPENER = re.compile(r"^(?:(?=[-+=])|(\d{1,9})(?=[.)](?:\s|$)))")


def describe_verdict(rounds: Rounds, verdict: Verdict) -> tuple[str, str]:
    """Describes a verdict in a headline and a sentence: what was made, or what failed and what to do."""
    headline = state_outcome(rounds, verdict)
    if not verdict.success:
        return headline, explain_failure(rounds, verdict)
    plan = rounds.plan
    if plan.lacking is None:
        made = f"{plan.wanted} for each pole of {count_noun(len(plan.model.traits), 'trait')}"
    else:
        made = f"{sum(plan.quotas.values()):,} that had been lacking"
    return headline, f"{made}; {count_others(rounds.choice)}."


def write_page(
    rounds: Rounds, verdict: Verdict, stored: StoredSet, estimate: Estimate, bill: Bill, api_url: str | None = None
) -> str:
    """Writes the page of a run that has a verdict; ``api_url`` is the HTTP API's address, None if there is none."""
    sections = [
        _write_verdict(rounds, verdict),
        write_next_steps(rounds, verdict, stored, api_url),
        _write_findings(rounds, verdict),
        _write_counts(rounds),
        *(_write_samples(rounds) if verdict.success else ()),
        _write_files(verdict, stored),
        _write_reasons(rounds),
        _write_costs(sum_costs(rounds, bill), estimate),
    ]
    return "\n\n".join(section for section in sections if section)


def write_error(handle: str, message: str) -> str:
    """Writes the page of a run that an error ended: the first line, which says what to do, and the details."""
    first, *details = message.splitlines() or ["no reason is known"]
    return "\n".join(
        [f"# {handle}: {NOTHING_ATTACHED}", "", f"**{escape(first)}**", "", *(f"- {escape(line)}" for line in details)]
    )


def escape(text: str) -> str:
    """Puts a text, which may come from a language model, on one line, and escapes all markdown in it."""
    return _OPENER.sub(r"\1\\", " ".join(text.split()).translate(_MARKUP))


def _write_verdict(rounds: Rounds, verdict: Verdict) -> str:
    headline, sentence = map(escape, describe_verdict(rounds, verdict))
    return f"# {rounds.plan.model.handle}: {headline}\n\n**{sentence}**"


def _write_findings(rounds: Rounds, verdict: Verdict) -> str:
    """Writes what is lacking or was found, and the warnings."""
    found = () if verdict.success else rounds.explain_shortfall() or verdict.failed
    sections = (("Why:", found), ("Warnings:", list_warnings(rounds, verdict)))
    return "\n\n".join(
        "\n".join([title, "", *(f"- {escape(item)}" for item in sentences)])
        for title, sentences in sections
        if sentences
    )


def _write_counts(rounds: Rounds) -> str:
    kept = rounds.count_kept()
    rows = ["| trait | pole | reads as | kept of wanted |", "|---|---|---|--:|"]
    for trait in rounds.plan.model.traits:
        for pole in POLES:
            count = f"{kept[trait.key, pole]} of {rounds.plan.quotas[trait.key, pole]}"
            rows.append(f"| {escape(trait.name)} | {pole} | {escape(trait.label(pole))} | {count} |")
    return "\n".join(rows)


def _write_costs(costs: Costs, estimate: Estimate) -> str:
    """Writes what was spent beside what was estimated; the report has it by trait and pole."""
    likely = estimate.total.likely
    calls = f"Replies: {costs.total.replies:,}, likely {likely.calls:,}. Tokens: {format_tokens(costs.total)}."
    if costs.is_free:
        return f"## Cost: nothing\n\n{calls}"
    expected = "" if likely.cost_usd is None else f", likely {format_cost(likely.cost_usd)}"
    return "\n".join(
        [f"## Cost: {escape(describe_spending(costs))}{expected}", "", calls, *map(escape, list_remarks(costs))]
    )


def _write_reasons(rounds: Rounds) -> str:
    reasons = rounds.choice.count_reasons()
    if not reasons:
        return "Nothing was left out."
    most = max(reasons.values())
    rows = [f"## Not kept: {count_others(rounds.choice)}", "", "| reason | count | |", "|---|---|---|"]
    for reason, count in reasons.items():
        bar = "█" * max(1, round(BAR_CELLS * count / most))
        rows.append(f"| {name_reason(reason)} | {count} | `{bar}` |")
    # The page does not wrap a table's cells, so the meanings of the reasons are below it.
    meanings = [f"- **{name_reason(reason)}**: {escape(EXPLANATIONS[reason])}" for reason in reasons]
    return "\n".join([*rows, "", *meanings])


def _write_samples(rounds: Rounds) -> Sequence[str]:
    sections = ["## Samples"]
    for trait in rounds.plan.model.traits[:MAX_TRAITS]:
        lines = [f"### {escape(trait.name)}"]
        for pole in POLES:
            chosen = [item for item in rounds.choice.chosen if item.trait == trait.key and item.pole == pole]
            lines += ["", f"**{escape(trait.label(pole))}**", ""]
            lines += [f"- {escape(item.text or '')}" for item in chosen[:SHOWN_SAMPLES]]
        sections.append("\n".join(lines))
    return sections


def _write_files(verdict: Verdict, stored: StoredSet) -> str:
    lines = [f"- samples: `{stored.file(stored.rows_name)}`"] if verdict.success else []
    return "\n".join(["## Files", "", *lines, f"- report: `{stored.file(REPORT)}`"])
