"""Describe the condition of all models: a headline, one table as markdown, and the same data as JSON."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import itemgetter
from typing import Any

from engine.catalogue.condition import KINDS, ModelCondition, PastRun
from engine.catalogue.examine import examine_model, list_all_handles
from engine.llm.client.prices import add_costs
from engine.report.run_page import escape
from engine.settings import Settings
from engine.text.formatting import count_noun, format_cost

NOTHING = "–"
# More rows are slow to draw and nobody reads them. Models that need a person come first, so none of them is missed.
MAX_ROWS = 300
HEAD = ("model", "state", "findings", "samples", "AUC", "last run", "cost")
# JSON keys of the last run.
LAST_FIELDS = ("run_id", "status", "created_at", "synth_type", "effort", "message")
COSTS_HEAD = ("month (UTC)", "namespace", "runs that left a set", "cost")


def survey_catalogue(settings: Settings, count: Callable[[int], None] = lambda _: None) -> list[ModelCondition]:
    """Examine all models of the catalogue and of the store; the most urgent findings come first.

    Args:
        count: receives the number of models before they are read.

    Raises:
        StoreError: the catalogue or the store cannot be listed.
    """
    uris = settings.models_uri, settings.samples_uri
    handles = list_all_handles(*uris)
    count(len(handles))
    return sorted((examine_model(*uris, handle) for handle in handles), key=rank_model)


def rank_model(model: ModelCondition) -> tuple[int, str]:
    """Return the sort key of a model: its most urgent finding, then its handle."""
    findings = model.findings
    return list(KINDS).index(findings[0].kind) if findings else len(KINDS), model.handle


def list_cells(model: ModelCondition) -> list[str]:
    """Return the cells of a model's row, in the order of ``HEAD``."""
    aucs = [f"{trait.auc:.2f}" for trait in model.traits if trait.auc is not None]
    last = model.last
    outcome = f"{last.status}, " if last and last.status != "attached" else ""
    return [
        model.handle,
        model.state,
        ", ".join(dict.fromkeys(KINDS[finding.kind] for finding in model.findings)) or "nothing",
        f"{sum(sum(trait.attached.values()) for trait in model.traits):,}",
        ", ".join(aucs) or NOTHING,
        f"{outcome}{last.created_at[:10]}" if last else "no set",
        NOTHING if model.cost_usd is None else format_cost(model.cost_usd),
    ]


def count_needing(models: Iterable[ModelCondition]) -> int:
    """Return the number of models that need a person."""
    return sum(model.needs_person for model in models)


def describe_survey(models: Sequence[ModelCondition]) -> tuple[str, str]:
    """Return a headline with the number of models that need a person, and a sentence with sample counts and cost."""
    needing = count_needing(models)
    if not models:
        return "There are no models", "The catalogue is empty, and so is the store."
    number = f"{needing:,} of {count_noun(len(models), 'model')}" if needing else "No model"
    traits = [trait for model in models for trait in model.traits]
    attached = sum(sum(trait.attached.values()) for trait in traits)
    authored = sum(sum(trait.authored.values()) for trait in traits)
    sets = count_noun(sum(model.sets for model in models), "attached set")
    held_out = sum(model.set_aside for model in models)
    aside = f", {held_out:,} set aside for evaluation" if held_out else ""
    counts = f"{count_noun(attached, 'synthesized sample')} in {sets}{aside}, {authored:,} authored"
    spent = add_costs(*(model.cost_usd for model in models))
    cost = f"; {format_cost(spent)} spent" if spent else ""
    return f"{number} {'need' if needing > 1 else 'needs'} a person", f"{counts}{cost}."


def sum_costs(models: Iterable[ModelCondition]) -> list[dict[str, Any]]:
    """Return the cost by month and namespace, the newest month first; ``runs`` includes runs without a known price."""
    spent: dict[tuple[str, str], list[PastRun]] = {}
    for model in models:
        for run in model.runs:
            spent.setdefault((f"{run.written_at:%Y-%m}", model.handle.partition(".")[0]), []).append(run)
    ordered = sorted(sorted(spent, key=itemgetter(1)), key=itemgetter(0), reverse=True)
    return [
        {
            "month": month,
            "namespace": namespace,
            "runs": len(runs := spent[month, namespace]),
            "usd": add_costs(*(run.cost_usd for run in runs)),
        }
        for month, namespace in ordered
    ]


def list_cost_cells(models: Iterable[ModelCondition]) -> list[list[str]]:
    """Return the table rows of ``sum_costs``, in the order of ``COSTS_HEAD``; none if there was no cost."""
    sums = sum_costs(models)
    rows = [[row["month"], row["namespace"], f"{row['runs']:,}", format_cost(row["usd"])] for row in sums]
    return rows if any(row["usd"] for row in sums) else []


def write_page(models: Sequence[ModelCondition]) -> str:
    """Return the markdown page: the headline, one table of all models, the findings with commands, and the costs."""
    headline, sentence = map(escape, describe_survey(models))
    shown = models[:MAX_ROWS]
    table = _write_table(HEAD, "|---|---|---|--:|---|---|--:|", map(list_cells, shown))
    if len(models) > MAX_ROWS:
        table += f"\n\nAnd {count_noun(len(models) - MAX_ROWS, 'more model')}: `exemplars catalogue --json`."
    costs = _write_table(COSTS_HEAD, "|---|---|--:|--:|", list_cost_cells(models))
    findings = [_write_findings(item) for item in shown if item.needs_person]
    return "\n\n".join(filter(None, [f"# {headline}\n\n**{sentence}**", table, *findings, costs]))


def _write_table(head: Sequence[str], rule: str, rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(map(escape, cells))} |" for cells in rows]
    return "\n".join([f"| {' | '.join(head)} |", rule, *lines]) if lines else ""


def describe_json(models: Sequence[ModelCondition], now: datetime) -> dict[str, Any]:
    """Return the data as JSON; only the last run and the total cost of each model's runs are included."""
    return {
        "surveyed_at": now.isoformat(),
        "need_person": count_needing(models),
        "models": [
            {
                **{name: value for name, value in asdict(item).items() if name != "runs"},
                "last": {name: getattr(item.last, name) for name in LAST_FIELDS} if item.last else None,
                "cost_usd": item.cost_usd,
                "findings": list(map(asdict, item.findings)),
                "needs_person": item.needs_person,
            }
            for item in models
        ],
        "costs": sum_costs(models),
    }


def _write_findings(model: ModelCondition) -> str:
    lines = [f"## {escape(model.handle)}"]
    for finding in model.findings:
        message = finding.message if finding.message.endswith((".", "!", "?", "…")) else f"{finding.message}."
        lines += ["", f"**{KINDS[finding.kind].capitalize()}**: {escape(message)}"]
        lines += ["", "```sh", *finding.commands, "```"] if finding.commands else []
    return "\n".join(lines)
