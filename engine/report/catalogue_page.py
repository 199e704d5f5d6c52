"""Writes the page of a catalogue's health as markdown, and the words that its HTML page and its listing share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from engine.catalogue.condition import LastRun, ModelCondition, TraitCondition
from engine.catalogue.findings import (
    DRIFT_AUC,
    ENTANGLED_COSINE,
    MIN_POLE_SHARE,
    Finding,
    Kind,
    average_drift,
    describe_angle,
    is_drift,
    is_entangled,
    is_unbalanced,
)
from engine.catalogue.survey import Survey, SurveyedModel
from engine.domain.model import POLES
from engine.quality.probe import MIN_AUC
from engine.report.run_page import escape
from engine.report.separation_table import UNKNOWN_LANGUAGE, format_auc
from engine.text.formatting import count_noun, format_cost, join_words

NOTHING = "–"
# More rows are slow to draw and nobody reads them. What needs a person comes first, so that none of it is missed.
MAX_ROWS = 300
MAX_DETAILED = 50

KIND_NAMES: Mapping[Kind, str] = {
    "broken": "cannot be read",
    "failed": "last run failed",
    "waits": "waits for your word",
    "drift": "last set has drifted",
    "hardly apart": "poles hardly told apart",
    "entangled": "entangled traits",
    "orphaned": "samples without a model",
    "changed": "definition has changed",
    "lacking": "a pole has no samples",
    "unbalanced": "unbalanced poles",
    "unwritten": "traits not written yet",
    "empty": "no samples yet",
}
EXPLANATIONS: Mapping[Kind, str] = {
    "broken": "A definition, a lifecycle file or a set has mistakes or is damaged. Runs of the model end with that.",
    "failed": "The newest run attached nothing. What was answered is kept: the same command goes on from there.",
    "waits": "A set was proposed, and nobody sees its samples until somebody has attached it.",
    "drift": (
        f"Texts of the last set can be told from earlier ones of their pole in {DRIFT_AUC:.0%} of pairs and more, or "
        "the axis of the earlier sets no longer grades them."
    ),
    "hardly apart": (
        f"Placed by the others, many texts fall to the other pole (an AUC below {MIN_AUC:g}), or the clusters "
        "surely overlap: then no grade is given."
    ),
    "entangled": (
        f"The axes of two traits point the same way (a cosine of {ENTANGLED_COSINE:g} and more, the luck of few texts "
        "left out): what a text scores for one it scores for the other."
    ),
    "orphaned": "The store has attached sets of a handle that the catalogue does not have.",
    "changed": "Traits, brief or authored samples are not those that attached sets were made for.",
    "lacking": "A trait has synthesized samples at one pole only, or none where other traits have some.",
    "unbalanced": (
        f"A pole has less than {MIN_POLE_SHARE:.0%} of a trait's samples, authored and synthesized ones together."
    ),
    "unwritten": "Its traits are still to be discovered, so nothing can be made for it.",
    "empty": "Nothing is wrong: no run has attached anything yet.",
}


def describe_survey(survey: Survey) -> tuple[str, str]:
    """Describes a survey in a headline and a sentence: how many models need a person, and how much there is."""
    models = survey.models
    if not models:
        return "There are no models", "The catalogue is empty, and so is the store."
    needing = survey.needing
    number = f"{needing:,} of {count_noun(len(models), 'model')}" if needing else "No model"
    headline = f"{number} {'need' if needing > 1 else 'needs'} a person"
    return headline, f"{describe_amount(survey)}."


def describe_amount(survey: Survey) -> str:
    """How many samples and sets there are, and what they cost, in a clause."""
    attached = sum(trait.attached.total for model in survey.models for trait in model.condition.traits)
    authored = sum(trait.authored.total for model in survey.models for trait in model.condition.traits)
    sets = sum(model.condition.sets.get("attached", 0) for model in survey.models)
    said = f"{count_noun(attached, 'synthesized sample')} in {count_noun(sets, 'attached set')}, {authored:,} authored"
    cost = sum_costs(survey)
    return said if not cost else f"{said}; {format_cost(cost)} spent"


def sum_costs(survey: Survey) -> float | None:
    """What all runs cost that left a set; None where no price is known."""
    known = [model.condition.cost_usd for model in survey.models if model.condition.cost_usd is not None]
    return math.fsum(known) if known else None


def describe_last(last: LastRun | None) -> str:
    """The newest run of a model in a few words: “attached, 2026-11-25”."""
    if last is None:
        return "never run"
    return f"{last.status}, {last.at:%Y-%m-%d}" if last.at else last.status


def format_apart(model: ModelCondition, trait: TraitCondition) -> str:
    """How well a trait's poles are told apart: its AUC, or why there is none."""
    if model.measures is None or not trait.defined:
        return NOTHING
    why = "too few texts" if model.measures.language_known else UNKNOWN_LANGUAGE
    return format_auc(trait.measure.auc if trait.measure else None, why)


def format_drift(trait: TraitCondition) -> str:
    """How the last set lies to the earlier ones: how often its texts are told from theirs."""
    if trait.measure is None or trait.measure.drift is None:
        return NOTHING
    drift = trait.measure.drift
    return f"{average_drift(drift):.2f}{', drifted' if is_drift(drift) else ''}"


def describe_angles(model: ModelCondition) -> list[tuple[str, bool]]:
    """The angles between the traits of a model, a clause each, and whether the two say one thing."""
    names = {trait.key: trait.name for trait in model.traits}
    angles = model.measures.angles if model.measures else ()
    return [
        (f"{names[item.one]} and {names[item.other]}: {describe_angle(item)}", is_entangled(item)) for item in angles
    ]


def write_catalogue_page(survey: Survey, file: str) -> str:
    """Writes the page's markdown.

    Args:
        file: where the HTML page is, which has every model.
    """
    headline, sentence = map(escape, describe_survey(survey))
    sections = [
        f"# {headline}\n\n**{sentence}**",
        "\n".join(f"- {escape(note)}" for note in survey.notes),
        f"The same page, with every model, to be opened in a browser: `{file}`",
        _write_kinds(survey),
        *(_write_model(model) for model in _list_needing(survey)[:MAX_DETAILED]),
        _write_rest(survey),
        _write_rows(survey),
    ]
    return "\n\n".join(section for section in sections if section)


def describe_model(model: SurveyedModel) -> dict[str, Any]:
    """All that is known of one model as JSON."""
    own = model.condition
    return {
        "handle": own.handle,
        "state": own.state,
        "needs_person": model.needs_person,
        "findings": [
            {"kind": item.kind, "said": item.said, "commands": list(item.commands)} for item in model.findings
        ],
        "traits": [_describe_trait(trait) for trait in own.traits],
        "angles": [
            {
                "traits": [item.one, item.other],
                "cosine": item.cosine,
                "error": item.error,
                "one_thing": is_entangled(item),
            }
            for item in (own.measures.angles if own.measures else ())
        ],
        "language": own.measures.language if own.measures else None,
        "sets": dict(own.sets),
        "last_run": None
        if own.last is None
        else {
            "run_id": own.last.run_id,
            "status": own.last.status,
            "at": own.last.at.isoformat() if own.last.at else None,
            "synth_type": own.last.synth_type,
            "effort": own.last.effort,
            "said": own.last.said,
        },
        "cost_usd": own.cost_usd,
    }


def _describe_trait(trait: TraitCondition) -> dict[str, Any]:
    measure = trait.measure
    drift = measure.drift if measure else None
    counts = {"authored": trait.authored, "synthesized": trait.attached, "held_out": trait.held_out}
    return {
        "trait": trait.key,
        "defined": trait.defined,
        "samples": {name: {pole: count.at(pole) for pole in POLES} for name, count in counts.items()},
        "balanced": not is_unbalanced(trait),
        "auc": measure.auc if measure else None,
        "clusters": measure.overlap if measure else None,
        "drift": None if drift is None else {"drifted": is_drift(drift), **asdict(drift)},
    }


def _list_needing(survey: Survey) -> list[SurveyedModel]:
    return [model for model in survey.models if model.needs_person]


def _write_kinds(survey: Survey) -> str:
    rows = [
        f"| {KIND_NAMES[kind]} | {count:,} | {escape(EXPLANATIONS[kind])} |" for kind, count in survey.count_kinds()
    ]
    return "\n".join(["| found | models | |", "|---|--:|---|", *rows]) if rows else ""


def _write_model(model: SurveyedModel) -> str:
    return "\n\n".join([f"## {escape(model.handle)}", *map(_write_finding, model.findings)])


def _write_finding(finding: Finding) -> str:
    said = f"**{KIND_NAMES[finding.kind].capitalize()}**: {escape(finding.sentence)}"
    if not finding.commands:
        return said
    return "\n".join([said, "", "```sh", *finding.commands, "```"])


def _write_rest(survey: Survey) -> str:
    more = len(_list_needing(survey)) - MAX_DETAILED
    return f"And {count_noun(more, 'more model')} that {'needs' if more == 1 else 'need'} a person." if more > 0 else ""


def _write_rows(survey: Survey) -> str:
    if not survey.models:
        return ""
    head = ["model", "state", "found", "synthesized", "told apart", "last run", "cost"]
    lines = ["## Models", "", f"| {' | '.join(head)} |", "|---|---|---|--:|---|---|--:|"]
    lines += [f"| {' | '.join(map(escape, _list_cells(model)))} |" for model in survey.models[:MAX_ROWS]]
    if len(survey.models) > MAX_ROWS:
        lines += ["", f"{count_noun(len(survey.models) - MAX_ROWS, 'more model')} in the HTML page."]
    return "\n".join(lines)


def _list_cells(model: SurveyedModel) -> list[str]:
    own = model.condition
    return [
        model.handle,
        own.state,
        name_findings(model.findings) or "nothing",
        f"{sum(trait.attached.total for trait in own.traits):,}",
        format_aucs(own),
        describe_last(own.last),
        NOTHING if own.cost_usd is None else format_cost(own.cost_usd),
    ]


def name_findings(findings: Sequence[Finding]) -> str:
    """The kinds of some findings in words, each once."""
    return join_words(list(dict.fromkeys(KIND_NAMES[finding.kind] for finding in findings)))


def format_aucs(model: ModelCondition) -> str:
    """The AUC of each trait, in the traits' order."""
    known = [trait.measure.auc for trait in model.traits if trait.measure and trait.measure.auc is not None]
    return ", ".join(f"{auc:.2f}" for auc in known) or NOTHING
