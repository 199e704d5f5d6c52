"""Renders ``report.html``, one offline file that shows what a run made and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from engine.domain.model import Pole
from engine.domain.samples import Reason, Row
from engine.domain.verdict import ExpectationResult, PoleVariety
from engine.domain.votes import VoteCounts
from engine.report.costs import Costs
from engine.report.headline import describe_others, state_headline
from engine.report.tables.charts import (
    EDGE,
    WIDTH,
    draw_lengths,
    draw_pole_positions,
    draw_reasons,
    split_by_difference,
)
from engine.report.tables.costs import describe_spending, format_tokens, list_pole_costs, list_remarks, list_sums
from engine.report.tables.diversity import MEASURES, draw_variety
from engine.report.tables.separation import MEANINGS, Separation, list_separations
from engine.report.wording import EXPLANATIONS, TraitWords, describe_votes, name_suite, pick_pairs
from engine.text.embedded_json import embed_json
from engine.text.formatting import capitalise, count_noun, name_plainly, name_reason
from engine.text.near_duplicates import DuplicatePair
from engine.text.words import count_words

_SHOWN_DUPLICATES = 20


@dataclass(frozen=True, slots=True)
class PoleCount:
    """The numbers of kept and wanted exemplars of one trait at one pole."""

    trait: str
    trait_name: str
    pole: str
    label: str
    kept: int
    wanted: int


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that the report shows. ``positions`` are those between the poles by row id, 0 negative to 1 positive."""

    handle: str
    description: str
    run_id: str
    synth_type: str
    effort: str
    synth_model: str
    created_at: datetime
    success: bool
    failed: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    counts: tuple[PoleCount, ...]
    kept: tuple[Row, ...]
    rejected: tuple[Row, ...]
    reasons: Mapping[Reason, int]
    duplicates: tuple[DuplicatePair, ...]
    expectations: tuple[ExpectationResult, ...]
    separations: tuple[Separation, ...] = ()
    positions: dict[int, float] = field(default_factory=dict)
    votes: VoteCounts = field(default_factory=VoteCounts)
    costs: Costs = field(default_factory=Costs)
    variety: tuple[PoleVariety, ...] = ()


def render_report(data: ReportData) -> str:
    """Renders the page; the same data give the same page, and markup in texts is escaped."""
    traits = _name_traits(data)
    strips = [draw_pole_positions(trait, data.kept, data.rejected, data.positions) for trait in traits]
    top_words, lengths = draw_lengths(traits, data.kept)
    return (
        make_environment()
        .get_template("report.html.jinja")
        .render(
            data=data,
            headline=_state_headline(data),
            quotas=_describe_quotas(data),
            facts=_list_facts(data),
            pairs=[(trait, shown) for trait in traits if (shown := pick_pairs(data.kept, trait.key))],
            most_wanted=max((max(count.kept, count.wanted) for count in data.counts), default=0),
            strips=[strip for strip in strips if strip],
            top_words=top_words,
            lengths=lengths,
            reasons=draw_reasons(data.reasons),
            separations=list_separations(data.separations, traits),
            separation_meanings=MEANINGS,
            variety=draw_variety(data.variety, traits),
            measures=MEASURES,
            costs=list_pole_costs(data.costs, traits),
            cost_sums=list_sums(data.costs),
            cost_remarks=list_remarks(data.costs),
            trait_names={trait.key: trait.name for trait in traits},
            duplicates=data.duplicates[:_SHOWN_DUPLICATES],
            expectations=sorted(data.expectations, key=_rank_expectation),
            table=_pack_table(data, traits),
        )
    )


@cache
def make_environment() -> Environment:
    """The templates of the report, of which other pages have their parts too."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(WIDTH=WIDTH, EDGE=EDGE)
    environment.filters.update(
        count_noun=count_noun,
        name_plainly=name_plainly,
        name_reason=name_reason,
        name_suite=name_suite,
        split_by_difference=split_by_difference,
    )
    return environment


def _name_traits(data: ReportData) -> list[TraitWords]:
    """Lists the traits in the order of the counts."""
    labels: dict[str, dict[Pole, str]] = {}
    names: dict[str, str] = {}
    for count in data.counts:
        names[count.trait] = count.trait_name
        pole: Pole = "positive" if count.pole == "positive" else "negative"
        labels.setdefault(count.trait, {"positive": "positive", "negative": "negative"})[pole] = count.label
    return [TraitWords(key, name, labels[key]) for key, name in names.items()]


def _state_headline(data: ReportData) -> str:
    attached = sum(count.kept for count in data.counts) if data.success else 0
    return capitalise(state_headline(attached, data.warnings, data.synth_type))


def _describe_quotas(data: ReportData) -> str:
    """Describes in a sentence how many exemplars each pole has, and how many others there are."""
    kept = [count.kept for count in data.counts]
    if not data.success or not kept:
        return ""
    number = f"{kept[0]:,}" if min(kept) == max(kept) else f"{min(kept):,} to {max(kept):,}"
    spare = data.reasons.get("surplus", 0)
    others = describe_others(sum(data.reasons.values()) - spare, spare)
    return f"{number} for each pole of {count_noun(len(_name_traits(data)), 'trait')}; {others}."


def _list_facts(data: ReportData) -> list[tuple[str, str]]:
    return [
        ("Run", data.run_id),
        ("Started", f"{data.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("Synthesis", data.synth_type),
        ("Effort", data.effort),
        ("Synth model", data.synth_model),
        *([("Judge", describe_votes(data.votes))] if data.votes.votes else ()),
        ("Replies", f"{data.costs.total.replies:,}"),
        ("Tokens", format_tokens(data.costs.total)),
        ("Cost", describe_spending(data.costs)),
    ]


def _rank_expectation(result: ExpectationResult) -> tuple[bool, int]:
    """Sorts failed expectations first, the most severe of them foremost."""
    return result.success, {"critical": 0, "warning": 1}.get(result.severity, 2)


def _pack_table(data: ReportData, traits: list[TraitWords]) -> Markup:
    """Packs the rows for the page's script."""
    wrong_side = {number for separation in data.separations for number in separation.wrong_side}
    table = {
        "traits": {trait.key: {"name": trait.name, **trait.labels} for trait in traits},
        "reasons": dict(EXPLANATIONS),
        "names": {reason: name_reason(reason) for reason in EXPLANATIONS},
        "rows": [
            _pack_row(row, data.positions.get(row["id"]), row["id"] in wrong_side)
            for row in (*data.kept, *data.rejected)
        ],
    }
    return embed_json(table)


def _pack_row(row: Row, position: float | None, wrong_side: bool) -> dict[str, object]:
    scenario = json.loads(row["scenario"] or "{}")
    return {
        "id": row["id"],
        "reason": row["reason"],
        "trait": row["trait"],
        "pole": row["pole"],
        "text": row["text"],
        **{name: scenario.get(name, "") for name in ("subject", "audience", "form", "length")},
        "round": row["attempt"],
        "words": count_words(row["text"] or ""),
        "lean": None if position is None else round(position, 3),
        "wrong_side": wrong_side,
    }
