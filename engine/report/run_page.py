"""Write the run page as markdown: the verdict, the next steps, counts of kept and rejected texts, and the cost.

All figures, pictures and texts are in the report. The page links to it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import replace

from engine.choosing.run_state import RunState
from engine.domain.finding import Finding
from engine.domain.model import POLES, Model
from engine.domain.samples import count_reasons
from engine.domain.verdict import Verdict
from engine.estimate.estimate import Estimate, format_estimate
from engine.llm.gateway.budget import RunBudget
from engine.report.costs import describe_spending, format_tokens, list_remarks
from engine.report.wording import NOTHING_ATTACHED, count_others, describe_verdict
from engine.store.layout import REPORT, SAMPLES
from engine.store.store import StoredSet
from engine.text.formatting import name_reason

# A page with the samples of more traits is too long to read; the report shows all of them.
MAX_TRAITS = 6
# Escaped with backslashes, because one of Prefect's two pages shows character references literally.
_MARKUP = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>#|&~"})
# A command in our messages. Code spans need no escaping.
_COMMAND = re.compile(r"(`exemplars [^`|]+`)")
# The start of a list, a rule or an underline.
_OPENER = re.compile(r"^(?:(?=[-+=])|(\d{1,9})(?=[.)](?:\s|$)))")


def write_page(
    state: RunState,
    verdict: Verdict,
    stored: StoredSet,
    estimate: Estimate,
    budget: RunBudget,
    api_url: str | None = None,
) -> str:
    """Write the page of a run that has a verdict; ``api_url`` is the HTTP API's address, None if there is none."""
    headline, sentence = map(escape, describe_verdict(state, verdict))
    causes = verdict.causes
    reasons = [f"{name_reason(reason)}: {count:,}" for reason, count in count_reasons(state.choice.rejected).items()]
    sections = [
        f"# {state.plan.model.handle}: {headline}\n\n**{sentence}**",
        write_next_steps(state, verdict, stored, api_url),
        write_list("Why:", causes),
        write_list("Warnings:", write_findings(verdict.findings)),
        _write_kept(state, verdict),
        write_list(f"## Not kept: {count_others(state.choice)}", reasons),
        _write_costs(budget, estimate),
    ]
    return "\n\n".join(section for section in sections if section)


def write_next_steps(state: RunState, verdict: Verdict, stored: StoredSet, api_url: str | None) -> str:
    """Write the steps as markdown; ``api_url`` is the HTTP API's address, None if there is none."""
    report = _write_report_step(stored, api_url)
    if verdict.proposed:
        return "\n\n".join(["## Next", *_write_review_steps(stored, report, api_url)])
    if verdict.success:
        return write_use(stored, state.plan.synth_type == "enrich", bool(verdict.warnings), api_url)
    again = "**Start again** when that is done. Replies are kept, so only the missing exemplars are requested:"
    command = format_command(state.plan.model, state.plan.synth_type, state.plan.level.effort)
    if state.is_hopeless:
        again = "**Start again** with another model. To ask the same model again, delete its replies first:"
        command = f"exemplars prune --replies {state.plan.model.handle}\n{command}"
    return "\n\n".join(["## Next", report, again, _write_code("sh", command)])


def write_use(stored: StoredSet, is_held_out: bool, is_warned: bool, api_url: str | None) -> str:
    """Write the steps after a set is attached."""
    use = "**Evaluate** with the samples" if is_held_out else "**Use** the samples"
    first = ", once you have read the warnings below" if is_warned else ""
    code = _write_code("python", *write_reading(stored.file(SAMPLES)))
    return "\n\n".join(["## Next", _write_report_step(stored, api_url), f"{use}{first}:", code])


def write_list(title: str, sentences: Iterable[str]) -> str:
    """Write sentences below a title; empty if there are none."""
    lines = [f"- {escape(sentence)}" for sentence in sentences]
    return "\n".join([title, "", *lines]) if lines else ""


def write_findings(findings: Iterable[Finding]) -> list[str]:
    """Write the findings that are not critical, each in sentences with its command as code."""
    return [
        f"{item.sentences} `{item.command}`" if item.command else item.sentences
        for item in findings
        if item.severity != "critical"
    ]


def write_reading(path: str) -> tuple[str, str]:
    """Return two lines of Python that read the samples at a path or URI with pandas."""
    # Only Arrow reads the query of a URI; pandas takes the address of a server from AWS's variables.
    read = re.sub(r"\?[^/]*", "", path) if "://" in path else path
    return "import pandas as pd", f"samples = pd.read_parquet({json.dumps(read, ensure_ascii=False)})"


def format_command(model: Model, synth_type: str, effort: str) -> str:
    """Format the command that starts a run again."""
    return f"exemplars synthesize {model.handle} --synth-type {synth_type} --effort {effort}"


def write_error(handle: str, message: str) -> str:
    """Write the page of a run that an error ended: the first line, with the remedy, and the details."""
    first, *details = message.splitlines() or ["no reason is known"]
    return "\n".join(
        [f"# {handle}: {NOTHING_ATTACHED}", "", f"**{escape(first)}**", "", *(f"- {escape(line)}" for line in details)]
    )


def escape(text: str) -> str:
    """Put a text, which may come from a language model, on one line; escape all its markdown except our commands."""
    parts = _COMMAND.split(" ".join(text.split()))
    parts[::2] = [part.translate(_MARKUP) for part in parts[::2]]
    return _OPENER.sub(r"\1\\", "".join(parts))


def _write_report_step(stored: StoredSet, api_url: str | None) -> str:
    if api_url:
        # A browser does not follow a link from this page to a file.
        return _write_link("Open the report", f"{api_url.rstrip('/')}/v1/runs/{stored.run_id}/report")
    return f"**Open the report** in a browser: `{stored.file(REPORT)}`"


def _write_review_steps(stored: StoredSet, report: str, api_url: str | None) -> list[str]:
    read = report
    if api_url:
        read = _write_link("Review the samples", f"{api_url.rstrip('/')}/v1/runs/{stored.run_id}/review")
    commands = [f"exemplars review {stored.run_id} {word}" for word in ("--attach", "--reject")]
    note = "**Then attach or reject them**: there, by this page's *Resume* while the run is suspended, or by a command:"
    return [read, note if api_url else note.replace("there, ", ""), _write_code("sh", *commands)]


def _write_link(text: str, address: str) -> str:
    return f"**[{text}]({address})**: in its dialog, enter a key as the password and any user name."


def _write_code(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def _write_kept(state: RunState, verdict: Verdict) -> str:
    """Write the number of exemplars of each pole and, if they are attached, the first of each."""
    lines = ["## Kept", ""]
    for trait in state.plan.model.traits:
        for pole in POLES:
            chosen = state.choice.at(trait.key, pole)
            quota = state.plan.quotas[trait.key, pole]
            lines.append(f"- **{escape(trait.name)}, {escape(trait.label(pole))}**: {len(chosen):,} of {quota:,}")
            if verdict.success and chosen and trait in state.plan.model.traits[:MAX_TRAITS]:
                lines.append(f"  - {escape(chosen[0].text or '')}")
    return "\n".join(lines)


def _write_costs(budget: RunBudget, estimate: Estimate) -> str:
    calls = f"Replies: {budget.replies:,}. Tokens: {format_tokens(budget)}."
    sentences = [calls, "", format_estimate(replace(estimate, limit_usd=None)), *list_remarks(budget)]
    return "\n".join([f"## Cost: {escape(describe_spending(budget))}", "", *map(escape, sentences)])
