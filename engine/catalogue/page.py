"""Words the catalogue's health: a headline, one table of all models as markdown, and the same facts as JSON."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from engine.catalogue.condition import KINDS, ModelCondition
from engine.catalogue.examine import examine_model, list_all_handles
from engine.report.run_page import escape
from engine.text.formatting import count_noun, format_cost

NOTHING = "–"
# More rows are slow to draw and nobody reads them. What needs a person comes first, so that none of it is missed.
MAX_ROWS = 300
HEAD = ("model", "state", "found", "samples", "told apart", "last run", "cost")


def survey_catalogue(models_uri: str, samples_uri: str) -> list[ModelCondition]:
    """Surveys all models of the catalogue, and those that only the store knows, those first that need a person most.

    Raises:
        StoreError: the catalogue or the store cannot be listed.
    """
    handles = list_all_handles(models_uri, samples_uri)
    return sorted((examine_model(models_uri, samples_uri, handle) for handle in handles), key=rank_model)


def rank_model(model: ModelCondition) -> tuple[int, str]:
    """What models are sorted by: the most pressing first, then by handle."""
    findings = model.findings
    return list(KINDS).index(findings[0].kind) if findings else len(KINDS), model.handle


def list_cells(model: ModelCondition) -> list[str]:
    """The cells of the model's row, in the order of ``HEAD``."""
    aucs = [f"{trait.auc:.2f}" for trait in model.traits if trait.auc is not None]
    return [
        model.handle,
        model.state,
        ", ".join(dict.fromkeys(KINDS[finding.kind] for finding in model.findings)) or "nothing",
        f"{sum(sum(trait.attached.values()) for trait in model.traits):,}",
        ", ".join(aucs) or NOTHING,
        "no set" if model.last is None else f"{model.last.status}, {model.last.created_at[:10]}",
        NOTHING if model.cost_usd is None else format_cost(model.cost_usd),
    ]


def count_needing(models: Iterable[ModelCondition]) -> int:
    """How many models need a person."""
    return sum(model.needs_person for model in models)


def describe_survey(models: Sequence[ModelCondition]) -> tuple[str, str]:
    """Describes a survey in a headline and a sentence: how many models need a person, and how much there is."""
    needing = count_needing(models)
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


def write_page(models: Sequence[ModelCondition]) -> str:
    """Writes the markdown: the headline, one table of all models, and below it what to type."""
    headline, sentence = map(escape, describe_survey(models))
    shown = models[:MAX_ROWS]
    table = [f"| {' | '.join(HEAD)} |", "|---|---|---|--:|---|---|--:|"]
    table += [f"| {' | '.join(map(escape, list_cells(item)))} |" for item in shown]
    if len(models) > MAX_ROWS:
        table += ["", f"And {count_noun(len(models) - MAX_ROWS, 'more model')}: `exemplars catalogue --json`."]
    typed = [_write_findings(item) for item in shown if item.needs_person]
    sections = [f"# {headline}\n\n**{sentence}**", "\n".join(table) if shown else "", *typed]
    return "\n\n".join(filter(None, sections))


def describe_json(models: Sequence[ModelCondition], now: datetime) -> dict[str, Any]:
    """All that is known as JSON."""
    return {
        "surveyed_at": now.isoformat(),
        "need_person": count_needing(models),
        "models": [
            {**asdict(item), "findings": list(map(asdict, item.findings)), "needs_person": item.needs_person}
            for item in models
        ],
    }


def _write_findings(model: ModelCondition) -> str:
    lines = [f"## {escape(model.handle)}"]
    for finding in model.findings:
        said = finding.said if finding.said.endswith((".", "!", "?", "…")) else f"{finding.said}."
        lines += ["", f"**{KINDS[finding.kind].capitalize()}**: {escape(said)}"]
        lines += ["", "```sh", *finding.commands, "```"] if finding.commands else []
    return "\n".join(lines)
