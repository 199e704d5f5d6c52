"""Renders the page of a catalogue's health as one offline HTML file: what was found, and every model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from engine.catalogue.condition import ModelCondition, TraitCondition
from engine.catalogue.findings import Finding, is_drift, is_hardly_apart, is_unbalanced
from engine.catalogue.survey import Survey, SurveyedModel
from engine.domain.model import POLES, Pole
from engine.report.catalogue_page import (
    EXPLANATIONS,
    KIND_NAMES,
    describe_angles,
    describe_last,
    describe_survey,
    format_apart,
    format_aucs,
    format_drift,
    name_findings,
)
from engine.report.html import make_environment
from engine.text.formatting import format_cost

# So many models are open when the page is: a person begins at the top.
OPEN_MODELS = 12


@dataclass(frozen=True, slots=True)
class PoleBar:
    """The samples of a trait at one pole; ``authored`` and ``end`` are the bar's stops in percent of the longest."""

    pole: Pole
    label: str
    counts: tuple[int, int]
    authored: float
    end: float


@dataclass(frozen=True, slots=True)
class TraitRow:
    """One trait in the table of its model."""

    name: str
    defined: bool
    bars: tuple[PoleBar, ...]
    held_out: int
    unbalanced: bool
    apart: str
    hardly_apart: bool
    drift: str
    drifted: bool


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model as the page shows it; ``sign`` is ``failed``, ``doubtful``, ``calm`` or ``passed``."""

    handle: str
    description: str
    state: str
    sign: str
    found: str
    kinds: str
    findings: tuple[Finding, ...]
    traits: tuple[TraitRow, ...]
    angles: tuple[tuple[str, bool], ...]
    samples: int
    apart: str
    last: str
    last_run: str
    said: str
    cost: str
    sets: str
    is_open: bool


def render_catalogue(survey: Survey) -> str:
    """Renders the page; the same survey gives the same page, and markup in texts is escaped."""
    headline, sentence = describe_survey(survey)
    kinds = survey.count_kinds()
    most = max((count for _, count in kinds), default=1)
    return (
        make_environment()
        .get_template("catalogue.html.jinja")
        .render(
            headline=headline,
            sentence=sentence,
            sign=_choose_sign([finding for model in survey.models for finding in model.findings]),
            surveyed_at=f"{survey.surveyed_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            notes=survey.notes,
            kinds=[(kind, KIND_NAMES[kind], count, 100 * count / most, EXPLANATIONS[kind]) for kind, count in kinds],
            kind_names=KIND_NAMES,
            models=[_make_row(model, number < OPEN_MODELS) for number, model in enumerate(survey.models)],
        )
    )


def _make_row(model: SurveyedModel, is_early: bool) -> ModelRow:
    own = model.condition
    longest = max(((trait.authored + trait.attached).at(pole) for trait in own.traits for pole in POLES), default=0)
    return ModelRow(
        handle=own.handle,
        description=own.description,
        state=own.state,
        sign=_choose_sign(model.findings),
        found=name_findings(model.findings),
        kinds=" ".join(finding.kind.replace(" ", "-") for finding in model.findings),
        findings=model.findings,
        traits=tuple(_make_trait_row(own, trait, longest) for trait in own.traits),
        angles=tuple(describe_angles(own)),
        samples=sum(trait.attached.total for trait in own.traits),
        apart=format_aucs(own),
        last=describe_last(own.last),
        last_run=own.last.run_id if own.last else "",
        said=own.last.said if own.last else "",
        cost="" if own.cost_usd is None else format_cost(own.cost_usd),
        sets=", ".join(f"{count:,} {status}" for status, count in sorted(own.sets.items())),
        is_open=is_early and model.needs_person,
    )


def _make_trait_row(model: ModelCondition, trait: TraitCondition, longest: int) -> TraitRow:
    drift = trait.measure.drift if trait.measure else None
    return TraitRow(
        name=trait.name,
        defined=trait.defined,
        bars=tuple(_make_bar(trait, pole, longest) for pole in POLES),
        held_out=trait.held_out.total,
        unbalanced=is_unbalanced(trait),
        apart=format_apart(model, trait),
        hardly_apart=is_hardly_apart(trait),
        drift=format_drift(trait),
        drifted=drift is not None and is_drift(drift),
    )


def _make_bar(trait: TraitCondition, pole: Pole, longest: int) -> PoleBar:
    authored, attached = trait.authored.at(pole), trait.attached.at(pole)
    scale = 100 / longest if longest else 0.0
    stops = round(scale * authored, 1), round(scale * (authored + attached), 1)
    return PoleBar(pole, trait.labels[pole], (authored, attached), *stops)


def _choose_sign(findings: Sequence[Finding]) -> str:
    """``failed`` where something is broken, ``doubtful`` where it needs a person, else ``calm`` or ``passed``."""
    if any(finding.kind == "broken" for finding in findings):
        return "failed"
    if any(not finding.is_calm for finding in findings):
        return "doubtful"
    return "calm" if findings else "passed"
