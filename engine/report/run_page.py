"""Writes the run page as markdown: the verdict, what to do next, what was kept and rejected, and the cost.

All figures, pictures and texts are in the report, which the page links.
"""

import re

from engine.choosing.rounds import Rounds
from engine.domain.model import POLES
from engine.domain.verdict import Verdict
from engine.estimate.estimate import Estimate
from engine.report.costs import Bill, describe_spending, format_tokens, list_remarks
from engine.report.headline import NOTHING_ATTACHED, count_others, describe_made, list_warnings, state_outcome
from engine.report.next_steps import write_next_steps
from engine.report.remedies import explain_failure
from engine.store.store import StoredSet
from engine.text.formatting import format_cost, name_reason

# A page with the samples of more traits is too long to be looked at; the report has them all.
MAX_TRAITS = 6

# Backslashes, since one of Prefect's two pages shows character references literally.
_MARKUP = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>#|&~"})
# What opens a list, a rule or an underline.
_OPENER = re.compile(r"^(?:(?=[-+=])|(\d{1,9})(?=[.)](?:\s|$)))")


def describe_verdict(rounds: Rounds, verdict: Verdict) -> tuple[str, str]:
    """Describes a verdict in a headline and a sentence: what was made, or what failed and what to do."""
    said = describe_made(rounds) if verdict.success else explain_failure(rounds, verdict)
    return state_outcome(rounds, verdict), said


def write_page(
    rounds: Rounds, verdict: Verdict, stored: StoredSet, estimate: Estimate, bill: Bill, api_url: str | None = None
) -> str:
    """Writes the page of a run that has a verdict; ``api_url`` is the HTTP API's address, None if there is none."""
    sections = [
        _write_verdict(rounds, verdict),
        write_next_steps(rounds, verdict, stored, api_url),
        _write_findings(rounds, verdict),
        _write_kept(rounds, verdict),
        _write_reasons(rounds),
        _write_costs(bill, estimate),
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


def _write_kept(rounds: Rounds, verdict: Verdict) -> str:
    """Writes how many exemplars each pole has, and where they are attached the first of each."""
    lines = ["## Kept", ""]
    for trait in rounds.plan.model.traits:
        for pole in POLES:
            own = [item for item in rounds.choice.chosen if item.trait == trait.key and item.pole == pole]
            wanted = rounds.plan.quotas[trait.key, pole]
            lines.append(f"- **{escape(trait.name)}, {escape(trait.label(pole))}**: {len(own):,} of {wanted:,}")
            if verdict.success and own and trait in rounds.plan.model.traits[:MAX_TRAITS]:
                lines.append(f"  - {escape(own[0].text or '')}")
    return "\n".join(lines)


def _write_reasons(rounds: Rounds) -> str:
    reasons = [f"- {name_reason(reason)}: {count:,}" for reason, count in rounds.choice.count_reasons().items()]
    return "\n".join([f"## Not kept: {count_others(rounds.choice)}", "", *reasons]) if reasons else ""


def _write_costs(bill: Bill, estimate: Estimate) -> str:
    """Writes what was spent beside what was estimated; the report has it by trait and pole."""
    likely = estimate.total.likely
    expected = "" if bill.is_free or likely.cost_usd is None else f", likely {format_cost(likely.cost_usd)}"
    calls = f"Replies: {bill.replies:,}, likely {likely.calls:,}. Tokens: {format_tokens(bill)}."
    return "\n".join(
        [f"## Cost: {escape(describe_spending(bill))}{expected}", "", calls, *map(escape, list_remarks(bill))]
    )
