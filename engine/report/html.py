"""Render ``report.html``, one offline file that shows the results of a run and the reasons for them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from functools import cache
from pathlib import Path
from statistics import median

from jinja2 import Environment
from markupsafe import Markup

from engine.domain.definition import Pole
from engine.domain.model import POLES, Model
from engine.domain.samples import Reason, Row, RunStamp
from engine.domain.verdict import Verdict
from engine.domain.votes import VoteCounts
from engine.llm.gateway.budget import RunBudget
from engine.report.costs import describe_spending, format_tokens, list_remarks
from engine.report.separation import Separation
from engine.report.wording import describe_votes, mark_rejected, name_suite, pick_pairs
from engine.rules.rules import RULES, RULES_BY_CODE
from engine.text.formatting import capitalise, count_noun, embed_json, format_cost, load_pages, name_reason
from engine.text.words import count_words

SEVERITIES = {"critical": 0, "warning": 1}


@dataclass(frozen=True, slots=True)
class ReportData:
    """All data of the report.

    ``counts`` are the kept and the requested exemplars by trait key and pole; ``positions`` are by row id, from 0 at
    the negative pole to 1 at the positive; ``details`` has the finding on each rejected text, such as a similar text.
    ``first_look``: nothing had to be chosen, or to pass the gate, and no text is in a store.
    """

    model: Model
    stamp: RunStamp
    synth_model: str
    verdict: Verdict
    headline: str
    summary: str
    kept: tuple[Row, ...]
    rejected: tuple[Row, ...]
    reasons: Mapping[Reason, int]
    notes: tuple[str, ...]
    counts: Mapping[tuple[str, Pole], tuple[int, int]] = field(default_factory=dict)
    separations: tuple[Separation, ...] = ()
    positions: Mapping[int, float] = field(default_factory=dict)
    details: Mapping[int, str] = field(default_factory=dict)
    votes: VoteCounts = field(default_factory=VoteCounts)
    budget: RunBudget = field(default_factory=lambda: RunBudget(1))
    first_look: bool = False


def render_report(data: ReportData) -> str:
    """Render the page; the same data give the same page, and markup in texts is escaped."""
    shown = (*data.kept, *map(mark_rejected, data.rejected)) if data.first_look else data.kept
    pairs = [(trait, pick_pairs(shown, trait.key)) for trait in data.model.traits]
    return (
        _make_environment()
        .get_template("report.html.jinja")
        .render(
            data=data,
            facts=_list_facts(data),
            traits={trait.key: trait for trait in data.model.traits},
            pairs=[(trait, texts) for trait, texts in pairs if texts],
            most_wanted=max(map(max, data.counts.values()), default=0),
            reasons=sorted(((code, count) for code, count in data.reasons.items() if count), key=lambda item: -item[1]),
            rules=RULES_BY_CODE,
            diversity=[item for item in data.verdict.diversity if item.exemplars.count],
            words=_describe_lengths(data.kept),
            remarks=list_remarks(data.budget),
            # Failed expectations come first, the most severe at the top.
            expectations=sorted(
                data.verdict.results, key=lambda item: (item.success, SEVERITIES.get(item.severity, 2))
            ),
            table=_pack_table(data),
        )
    )


@cache
def _make_environment() -> Environment:
    environment = load_pages(Path(__file__).parent / "templates")
    environment.globals.update(POLES=POLES)
    filters = (capitalise, count_noun, format_cost, name_reason, name_suite)
    environment.filters.update({function.__name__: function for function in filters})
    return environment


def _list_facts(data: ReportData) -> list[tuple[str, str]]:
    budget = data.budget
    facts = [
        ("Run", data.stamp.run_id),
        ("Started", f"{data.stamp.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("Synthesis", data.stamp.synth_type),
        ("Effort", data.stamp.effort),
        ("Synth model", data.synth_model),
        *([("Judge", describe_votes(data.votes))] if data.votes.votes else ()),
        ("Replies", f"{budget.replies:,}"),
        ("Tokens", format_tokens(budget)),
        ("Cost", describe_spending(budget)),
    ]
    # A first look has no stored run, and its calls are not counted here.
    return facts[1:5] if data.first_look else facts


def _describe_lengths(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    counts: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        counts.setdefault((row["trait"], row["pole"]), []).append(count_words(row["text"] or ""))
    return {key: f"{median(words):g} ({min(words):,} to {max(words):,})" for key, words in counts.items()}


def _pack_table(data: ReportData) -> Markup:
    wrong_side = {number for separation in data.separations for number in separation.wrong_side}
    run, handle = data.stamp.run_id, data.model.handle
    removable = (
        f"exemplars review {run} --attach --leave-out" if data.verdict.proposed else f"exemplars remove {handle}"
    )
    table = {
        "run": run,
        # The command that removes a kept text, without the text's id.
        "removable": "" if data.first_look else removable,
        "traits": {
            trait.key: {"name": trait.name, **{pole: trait.label(pole) for pole in POLES}}
            for trait in data.model.traits
        },
        "reasons": {rule.code: rule.explanation for rule in RULES},
        "names": {rule.code: name_reason(rule.code) for rule in RULES},
        "rows": [
            {
                **dict.fromkeys(("subject", "audience", "form", "length"), ""),
                **json.loads(row["scenario"] or "{}"),
                **{name: row[name] for name in ("id", "reason", "trait", "pole", "text")},
                "round": row["attempt"],
                "words": count_words(row["text"] or ""),
                "detail": data.details.get(row["id"], "") if row["reason"] else "",
                "lean": data.positions.get(row["id"]),
                # A rejected duplicate has the same id as the kept text.
                "wrong_side": row["id"] in wrong_side and row["reason"] in (None, "surplus"),
            }
            for row in (*data.kept, *data.rejected)
        ],
    }
    return embed_json(table)
