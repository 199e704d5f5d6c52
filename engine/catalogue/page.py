"""Words the catalogue's health: a headline, one table of all models as markdown, and the same facts as JSON."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from engine.catalogue.condition import KINDS, Finding, LastRun, ModelCondition, list_findings
from engine.catalogue.examine import examine_model, list_all_handles
from engine.report.run_page import escape
from engine.text.formatting import count_noun, format_cost

NOTHING = "–"
# More rows are slow to draw and nobody reads them. What needs a person comes first, so that none of it is missed.
MAX_ROWS = 300
HEAD = ("model", "state", "found", "samples", "told apart", "last run", "cost")


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One model with what was found of it, most pressing first."""

    model: ModelCondition
    findings: tuple[Finding, ...]

    @property
    def needs_person(self) -> bool:
        """Whether something is wrong, or waits. Nothing is where no run has attached anything yet."""
        return any(finding.kind != "empty" for finding in self.findings)

    def list_cells(self) -> list[str]:
        """The cells of the model's row, in the order of ``HEAD``."""
        model = self.model
        aucs = [f"{trait.auc:.2f}" for trait in model.traits if trait.auc is not None]
        return [
            model.handle,
            model.state,
            ", ".join(dict.fromkeys(KINDS[finding.kind] for finding in self.findings)) or "nothing",
            f"{sum(sum(trait.attached.values()) for trait in model.traits):,}",
            ", ".join(aucs) or NOTHING,
            _describe_last(model.last),
            NOTHING if model.cost_usd is None else format_cost(model.cost_usd),
        ]


@dataclass(frozen=True, slots=True)
class Survey:
    """All models of a catalogue and its store, those first that need a person most."""

    models: tuple[Surveyed, ...]
    surveyed_at: datetime

    @property
    def needing(self) -> int:
        """How many models need a person."""
        return sum(item.needs_person for item in self.models)


def survey_catalogue(models_uri: str, samples_uri: str, now: datetime) -> Survey:
    """Surveys all models of the catalogue, one after the other, and those that only the store knows.

    Raises:
        StoreError: the catalogue or the store cannot be listed.
    """
    handles = list_all_handles(models_uri, samples_uri)
    return rank_models((examine_model(models_uri, samples_uri, handle) for handle in handles), now)


def rank_models(models: Iterable[ModelCondition], now: datetime) -> Survey:
    """Finds what is wrong with models, and puts those first that need a person most."""
    surveyed = [Surveyed(model, tuple(list_findings(model))) for model in models]
    pressing = list(KINDS)
    surveyed.sort(
        key=lambda item: (pressing.index(item.findings[0].kind) if item.findings else len(KINDS), item.model.handle)
    )
    return Survey(tuple(surveyed), now)


def describe_survey(survey: Survey) -> tuple[str, str]:
    """Describes a survey in a headline and a sentence: how many models need a person, and how much there is."""
    models, needing = [item.model for item in survey.models], survey.needing
    if not models:
        return "There are no models", "The catalogue is empty, and so is the store."
    number = f"{needing:,} of {count_noun(len(models), 'model')}" if needing else "No model"
    traits = [trait for model in models for trait in model.traits]
    attached = sum(sum(trait.attached.values()) for trait in traits)
    authored = sum(sum(trait.authored.values()) for trait in traits)
    sets = count_noun(sum(model.sets for model in models), "attached set")
    said = f"{count_noun(attached, 'synthesized sample')} in {sets}, {authored:,} authored"
    known = [model.cost_usd for model in models if model.cost_usd is not None]
    cost = f"; {format_cost(math.fsum(known))} spent" if any(known) else ""
    return f"{number} {'need' if needing > 1 else 'needs'} a person", f"{said}{cost}."


def write_page(survey: Survey) -> str:
    """Writes the markdown: the headline, one table of all models, and below it what to type."""
    headline, sentence = map(escape, describe_survey(survey))
    shown = survey.models[:MAX_ROWS]
    table = [f"| {' | '.join(HEAD)} |", "|---|---|---|--:|---|---|--:|"]
    table += [f"| {' | '.join(map(escape, item.list_cells()))} |" for item in shown]
    if len(survey.models) > MAX_ROWS:
        table += ["", f"And {count_noun(len(survey.models) - MAX_ROWS, 'more model')}: `exemplars catalogue --json`."]
    typed = [_write_findings(item) for item in shown if item.needs_person]
    sections = [f"# {headline}\n\n**{sentence}**", "\n".join(table) if shown else "", *typed]
    return "\n\n".join(filter(None, sections))


def describe_json(survey: Survey) -> dict[str, Any]:
    """All that is known as JSON."""
    return {
        "surveyed_at": survey.surveyed_at.isoformat(),
        "need_person": survey.needing,
        "models": [
            {**asdict(item.model), "findings": list(map(asdict, item.findings)), "needs_person": item.needs_person}
            for item in survey.models
        ],
    }


def _describe_last(last: LastRun | None) -> str:
    """The newest run of a model in a few words: “attached, 2026-11-25”."""
    return "no set" if last is None else f"{last.status}, {last.created_at[:10]}"


def _write_findings(item: Surveyed) -> str:
    lines = [f"## {escape(item.model.handle)}"]
    for finding in item.findings:
        said = finding.said if finding.said.endswith((".", "!", "?", "…")) else f"{finding.said}."
        lines += ["", f"**{KINDS[finding.kind].capitalize()}**: {escape(said)}"]
        lines += ["", "```sh", *finding.commands, "```"] if finding.commands else []
    return "\n".join(lines)
