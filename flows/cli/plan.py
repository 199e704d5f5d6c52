"""The dry run of ``exemplars plan``: describe a planned run, and print it in tables that fit 80 columns."""

import json
from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.axis.reference_axis import fit_reference_axes
from engine.definitions.effort import Level, load_level
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.domain.run_request import RunRequest
from engine.estimate.estimate import ASSUMED, explain_estimate, format_estimate
from engine.estimate.planned_run import PlannedPrompt, PlannedRun, describe_run
from engine.llm.embedded.embedded_models import EMBEDDED, list_embedded_models
from engine.run.job import load_job, plan_job
from engine.settings import Settings
from engine.text.embedding import SentenceEncoder
from engine.text.formatting import count_noun
from expectations.own_suites import check_own_suites
from flows.cli.console import make_console, make_table

# The number of values of a list to show; the rest are counted.
SHOWN_VALUES = 4


def plan_run(settings: Settings, request: RunRequest, prompts: int = 2) -> PlannedRun:
    """Return the planned run of a request. If it would be refused because a price is unknown, the result says so.

    Args:
        prompts: the largest number of prompts of each kind to include.

    Raises:
        InputError, ProviderError, StoreError: as ``load_job``.
    """
    job = load_job(settings, request, dry=True)
    check_own_suites(job.model.own_suites)
    plan = plan_job(job, load_packs(SCENARIOS_FOLDER), settings.seed)
    if plan.language.encoder_supports_language:
        plan = replace(plan, axes=fit_reference_axes(plan.model, SentenceEncoder()))
    notes = ["Nothing is lacking: a run asks nothing, and makes no set."] if job.is_complete else []
    notes += [job.note] if job.note else []
    return describe_run(settings, plan, [*notes, *_name_better_model(settings, job.level)], prompts)


def _name_better_model(settings: Settings, level: Level) -> list[str]:
    first = load_level(settings.effort_file, level.effort).synth_model
    name = first.removeprefix(f"{EMBEDDED}/")
    models = list_embedded_models()
    if settings.synth_model is not None or name not in models or models[name].find(settings.embedded_dir):
        return []
    return [
        f"Effort {level.effort} takes {name} where its file is here; it writes better: 'exemplars models get {name}'."
    ]


def show_planned(planned: PlannedRun) -> None:
    """Print the plan, prompts of each kind, and the calls with their tokens and cost."""
    console = make_console()
    console.print(f"{planned.handle}: a dry run, no model is called and nothing is written", style="bold")
    _show_plan(console, planned)
    _show_scenarios(console, planned)
    _show_prompts(console, planned)
    _show_cost(console, planned)


def _show_plan(console: Console, planned: PlannedRun) -> None:
    _print_heading(console, "Plan")
    facts = Table.grid(padding=(0, 2))
    facts.add_column()
    facts.add_column(overflow="fold")
    exemplars = count_noun(max(quota.wanted for quota in planned.quotas), "exemplar")
    rounds = count_noun(planned.top_up_rounds, "top-up round")
    for name, value in (
        ("synth type", planned.synth_type),
        ("effort", f"{planned.effort}: {exemplars} a pole, up to {rounds}"),
        ("synth model", planned.synth_model),
        ("plan id", planned.plan_id),
        ("prompts", planned.prompts_version),
        *(("own suites", name) for name in planned.own_suites),
        *(("note", sentence) for sentence in planned.notes),
    ):
        facts.add_row(Text(name, style="dim"), Text(value))
    console.print(facts)
    table = make_table("trait", "type", "pole", "label", numbers=("quota", "cells"))
    for quota in planned.quotas:
        words = (quota.trait, quota.type, quota.pole, quota.label)
        table.add_row(*map(Text, words), f"{quota.wanted:,}", f"{quota.cells:,}")
    console.print(table)
    console.print("Cells are the calls of round 1.")


def _show_scenarios(console: Console, planned: PlannedRun) -> None:
    _print_heading(console, "Subjects and scenarios")
    if planned.proposed_by:
        console.print(
            f"A run first asks {planned.proposed_by} for what `scenarios` in model.yaml leave open, and uses that "
            "before any other. The dry run does not: the subjects below are from the lists. The run will have another "
            "plan id, which depends on what is proposed."
        )
    else:
        console.print("They are as in a run.")
    table = make_table("", "chosen")
    for part, values in planned.scenario_lists.items():
        more = f"; and {len(values) - SHOWN_VALUES:,} more" if len(values) > SHOWN_VALUES else ""
        table.add_row(Text(part), Text("; ".join(values[:SHOWN_VALUES]) + more))
    console.print(table)


def _show_prompts(console: Console, planned: PlannedRun) -> None:
    """Print some prompts. A shared system message is printed in full only the first time."""
    systems: dict[str, str] = {}
    for prompt in planned.prompts:
        _print_heading(console, f"Prompt: {prompt.kind}")
        console.print(Text(f"{prompt.title}, to {prompt.model}", style="dim"))
        schema = ", with the JSON schema of the reply" if prompt.schema else ""
        limits = f"max_tokens {prompt.max_tokens}, temperature {prompt.temperature:g}{schema}"
        console.print(Text(limits, style="dim"))
        if prompt.note:
            console.print(Text(prompt.note, style="dim"))
        for name, text in _list_messages(prompt, systems):
            console.print(Text(f"{name}:", style="cyan"))
            for line in Text(text).wrap(console, console.width - 2):
                line.rstrip()
                console.print(Text("  ") + line if line else "")


def _list_messages(prompt: PlannedPrompt, systems: dict[str, str]) -> Iterator[tuple[str, str]]:
    if prompt.questions:
        yield "Text to decide on", prompt.user
        yield "Questions", json.dumps(prompt.questions, ensure_ascii=False, indent=1)
        return
    if prompt.system is None:
        yield "Document to continue", prompt.user
        return
    known = systems.setdefault(prompt.system, prompt.title)
    yield "System", prompt.system if known == prompt.title else f"(as for {known})"
    for message, answer in prompt.turns:
        yield "User", message
        yield "Assistant", answer
    yield "User", prompt.user


def _show_cost(console: Console, planned: PlannedRun) -> None:
    _print_heading(console, "Calls, tokens, cost and time (an estimate)")
    table = make_table("calls", numbers=("likely", "at most"))
    for calls in planned.estimate.calls:
        table.add_row(Text(calls.kind), f"{calls.likely.calls:,}", f"{calls.most.calls:,}")
    console.print(table)
    for sentence in (format_estimate(planned.estimate), ASSUMED, *explain_estimate(planned.estimate)):
        console.print(Text(sentence))
    console.print("Replies that are kept from an earlier start of the same plan are neither requested nor paid again.")
    if planned.refused:
        console.print(Text(f"A run would be refused now. {planned.refused}.", style="bold"))


def _print_heading(console: Console, text: str) -> None:
    console.print()
    console.rule(Text(text, style="bold"), align="left")
