"""The daily summary: new samples, their cost, and models that need a person. It is sent even if nothing is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.catalogue.condition import KINDS, ModelCondition
from engine.llm.client.prices import add_costs
from engine.text.formatting import count_noun, format_cost, name_some, shorten

DAY = timedelta(days=1)
# Limits of the text, which a chat program shows; the other fields are complete.
MAX_NAMED, MAX_CHARS = 5, 200


@dataclass(frozen=True, slots=True)
class TroubledRun:
    """A flow run of the last day that did not complete: its name, its state in one or two words, and the reason."""

    run_id: str
    name: str
    state: str
    message: str = ""


def describe_day(models: Sequence[ModelCondition], troubled: Sequence[TroubledRun], now: datetime) -> dict[str, Any]:
    """Return the numbers of the 24 hours before ``now``, and ``text``, the same in sentences."""
    runs = [run for model in models for run in model.runs]
    attached = [run for run in runs if run.attached_at and now - DAY < run.attached_at <= now]
    needing = [model for model in models if model.needs_person]
    samples = sum(run.samples for run in attached)
    cost_usd = add_costs(*(run.cost_usd for run in runs if now - DAY < run.written_at <= now))
    facts = {
        "at": now.isoformat(timespec="seconds"),
        "sets": len(attached),
        "samples": samples,
        "cost_usd": cost_usd,
        "models": len(models),
        "troubled": [
            {"run_id": run.run_id, "run": run.name, "state": run.state, "message": run.message} for run in troubled
        ],
        "need_person": [{"handle": model.handle, "found": _name_findings(model)} for model in needing],
    }
    attached_text = f"{count_noun(samples, 'sample')} in {count_noun(len(attached), 'set')}" if attached else "nothing"
    sentences = [
        f"Exemplars, {now:%d %B}: {attached_text} attached in the last 24 hours"
        + ("" if cost_usd is None else f"; the runs that left a set cost {format_cost(cost_usd)}"),
        _list("run", "did not complete", "did not complete", list(map(_name_run, troubled))) or "Every run completed",
        _list("model", "needs a person", "need a person", _group(needing), len(needing)) or "No model needs a person",
    ]
    return {"text": f"{'. '.join(sentences)}.", **facts}


def _group(needing: Sequence[ModelCondition]) -> list[str]:
    """Return each kind of finding with its models, such as “cannot be read (a, b, c and 28 more)”."""
    handles: dict[str, list[str]] = {}
    for model in needing:
        handles.setdefault(_name_findings(model), []).append(model.handle)
    return [f"{findings} ({name_some(names)})" for findings, names in handles.items()]


def _list(noun: str, one: str, many: str, names: Sequence[str], number: int | None = None) -> str:
    number = number or len(names)
    more = f"; and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    text = f"{count_noun(number, noun)} {one if number == 1 else many}: {'; '.join(names[:MAX_NAMED])}{more}"
    return text if names else ""


def _name_findings(model: ModelCondition) -> str:
    return ", ".join(dict.fromkeys(KINDS[finding.kind] for finding in model.findings if finding.kind != "empty"))


def _name_run(run: TroubledRun) -> str:
    message = shorten(" ".join(run.message.split()), MAX_CHARS).rstrip(".")
    return f"{run.name} is {run.state}" + (f" ({message})" if message else "")
