"""Words the catalogue's health: a headline, one table of all models as markdown, and the same facts as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from engine.catalogue.condition import Finding, Kind, LastRun, ModelCondition
from engine.catalogue.findings import is_unbalanced, list_findings
from engine.domain.model import POLES
from engine.report.run_page import escape
from engine.text.formatting import count_noun, format_cost

NOTHING = "–"
# More rows are slow to draw and nobody reads them. What needs a person comes first, so that none of it is missed.
MAX_ROWS = 300
KIND_NAMES: Mapping[Kind, str] = {
    "broken": "cannot be read",
    "failed": "last run failed",
    "waits": "waits for your word",
    "hardly apart": "poles hardly told apart",
    "one thing": "two traits say one thing",
    "lacking": "a pole has no samples",
    "unbalanced": "unbalanced poles",
    "empty": "no samples yet",
}
HEAD = ("model", "state", "found", "samples", "told apart", "last run", "cost")


@dataclass(frozen=True, slots=True)
class Survey:
    """All models of a catalogue and its store."""

    models: tuple[ModelCondition, ...]
    surveyed_at: datetime

    def rank(self) -> list[tuple[ModelCondition, list[Finding]]]:
        """The models with what was found of each, those first that need a person most."""
        found = [(model, list_findings(model)) for model in self.models]
        kinds = list(KIND_NAMES)
        return sorted(found, key=lambda item: (kinds.index(item[1][0].kind) if item[1] else len(kinds), item[0].handle))


def needs_person(findings: Sequence[Finding]) -> bool:
    """Whether something is wrong, or waits. Nothing is where no run has attached anything yet."""
    return any(finding.kind != "empty" for finding in findings)


def describe_survey(survey: Survey) -> tuple[str, str]:
    """Describes a survey in a headline and a sentence: how many models need a person, and how much there is."""
    models = survey.models
    if not models:
        return "There are no models", "The catalogue is empty, and so is the store."
    needing = sum(needs_person(list_findings(model)) for model in models)
    number = f"{needing:,} of {count_noun(len(models), 'model')}" if needing else "No model"
    attached, authored = (
        sum(getattr(trait, name).total for model in models for trait in model.traits)
        for name in ("attached", "authored")
    )
    sets = count_noun(sum(model.sets for model in models), "attached set")
    said = f"{count_noun(attached, 'synthesized sample')} in {sets}, {authored:,} authored"
    known = [model.cost_usd for model in models if model.cost_usd is not None]
    cost = f"; {format_cost(math.fsum(known))} spent" if any(known) else ""
    return f"{number} {'need' if needing > 1 else 'needs'} a person", f"{said}{cost}."


def write_page(survey: Survey) -> str:
    """Writes the markdown: the headline, one table of all models, and below it what to type."""
    headline, sentence = map(escape, describe_survey(survey))
    ranked = survey.rank()[:MAX_ROWS]
    table = [f"| {' | '.join(HEAD)} |", "|---|---|---|--:|---|---|--:|"]
    table += [f"| {' | '.join(map(escape, list_cells(model, findings)))} |" for model, findings in ranked]
    if len(survey.models) > MAX_ROWS:
        table += ["", f"And {count_noun(len(survey.models) - MAX_ROWS, 'more model')}: `exemplars catalogue --json`."]
    typed = [_write_findings(model, findings) for model, findings in ranked if needs_person(findings)]
    sections = [f"# {headline}\n\n**{sentence}**", "\n".join(table) if ranked else "", *typed]
    return "\n\n".join(filter(None, sections))


def list_cells(model: ModelCondition, findings: Sequence[Finding]) -> list[str]:
    """The cells of a model's row, in the order of ``HEAD``."""
    aucs = [f"{trait.auc:.2f}" for trait in model.traits if trait.auc is not None]
    return [
        model.handle,
        model.state,
        ", ".join(dict.fromkeys(KIND_NAMES[finding.kind] for finding in findings)) or "nothing",
        f"{sum(trait.attached.total for trait in model.traits):,}",
        ", ".join(aucs) or NOTHING,
        describe_last(model.last),
        NOTHING if model.cost_usd is None else format_cost(model.cost_usd),
    ]


def describe_last(last: LastRun | None) -> str:
    """The newest run of a model in a few words: “attached, 2026-11-25”."""
    if last is None:
        return "no set"
    return f"{last.status}, {last.at:%Y-%m-%d}" if last.at else last.status


def describe_json(survey: Survey) -> dict[str, Any]:
    """All that is known as JSON."""
    ranked = survey.rank()
    return {
        "surveyed_at": survey.surveyed_at.isoformat(),
        "need_person": sum(needs_person(findings) for _, findings in ranked),
        "models": [_describe_model(model, findings) for model, findings in ranked],
    }


def _describe_model(model: ModelCondition, findings: Sequence[Finding]) -> dict[str, Any]:
    last = None if model.last is None else asdict(model.last)
    return {
        "handle": model.handle,
        "state": model.state,
        "needs_person": needs_person(findings),
        "findings": [asdict(finding) for finding in findings],
        "traits": [
            {
                "trait": trait.key,
                "samples": {
                    name: {pole: counts.at(pole) for pole in POLES}
                    for name, counts in (
                        ("authored", trait.authored),
                        ("synthesized", trait.attached),
                        ("held_out", trait.held_out),
                    )
                },
                "balanced": not is_unbalanced(trait),
                "auc": trait.auc,
            }
            for trait in model.traits
        ],
        "sets": model.sets,
        "last_run": last and {**last, "at": last["at"].isoformat() if last["at"] else None},
        "cost_usd": model.cost_usd,
    }


def _write_findings(model: ModelCondition, findings: Sequence[Finding]) -> str:
    lines = [f"## {escape(model.handle)}"]
    for finding in findings:
        said = finding.said if finding.said.endswith((".", "!", "?", "…")) else f"{finding.said}."
        lines += ["", f"**{KIND_NAMES[finding.kind].capitalize()}**: {escape(said)}"]
        lines += ["", "```sh", *finding.commands, "```"] if finding.commands else []
    return "\n".join(lines)
