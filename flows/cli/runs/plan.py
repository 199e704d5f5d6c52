"""The dry run of ``exemplars plan``: makes the preview of a run and prints it in tables that fit 80 columns."""

from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.asking.scenarios import count_shares, list_proposable
from engine.axis.reference_axis import fit_reference_axes
from engine.definitions.effort import Level, load_level
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.errors import UnpricedError
from engine.estimate.call_kinds import Example, plan_examples
from engine.estimate.preview import Preview, describe_scenario_lists, preview_plan
from engine.estimate.wording import ASSUMED, explain_estimate
from engine.llm.embedded.embedded_models import EMBEDDED, list_embedded_models
from engine.llm.endpoints import check_prices, describe_endpoint, describe_judge, limit_cost
from engine.run.job import load_job, plan_job
from engine.settings import Settings
from engine.text.embedding import SentenceEncoder
from engine.text.formatting import count_noun, format_cost, join_words
from expectations.own_suites import check_own_suites
from flows.cli.console import make_console

# So many values of a list are shown; the rest are counted.
SHOWN_VALUES = 4


def make_preview(
    settings: Settings, handle: str, synth_type: str, effort: str | None, only_lacking: bool = False
) -> Preview:
    """The preview of a request. If the run would be refused because a price is unknown, the preview says so.

    Raises:
        InputError, ProviderError, StoreError: as ``load_job``.
    """
    job = load_job(settings, handle, synth_type, effort, dry=True, only_lacking=only_lacking)
    check_own_suites(job.model.own_suites)
    embedder = SentenceEncoder()
    plan = plan_job(job, load_packs(SCENARIOS_FOLDER), settings.seed)
    if plan.language.encoder_has_say:
        plan = replace(plan, axes=fit_reference_axes(plan.model, embedder))
    endpoint, judge = describe_endpoint(settings, job.level), describe_judge(settings, job.level)
    refused = ""
    try:
        check_prices(settings, job.level)
    except UnpricedError as error:
        refused = str(error)
    preview = preview_plan(plan, endpoint, limit_cost(settings, job.level), judge, refused)
    return replace(
        preview, notes=(*preview.notes, *([job.note] if job.note else []), *_name_better_model(settings, job.level))
    )


def _name_better_model(settings: Settings, level: Level) -> list[str]:
    """Names the embedded model that the dial would sooner take for a level, and how to get it."""
    first = load_level(settings.locate(settings.effort_file), level.effort).synth_model
    name = first.removeprefix(f"{EMBEDDED}/")
    models = list_embedded_models()
    if settings.synth_model is not None or name not in models or models[name].find(settings.embedded_place.folder):
        return []
    return [
        f"Effort {level.effort} takes {name} where its file is here; it writes better: 'exemplars models get {name}'."
    ]


def show_preview(preview: Preview, shown: int) -> None:
    """Prints the plan, prompts of each kind, and the calls with their tokens and cost.

    Args:
        shown: how many prompts of each kind to show at most.
    """
    console = make_console()
    console.print(f"{preview.plan.model.handle}: a dry run, no model is called and nothing is written", style="bold")
    _show_plan(console, preview)
    _show_scenarios(console, preview)
    _show_prompts(console, preview, shown)
    _show_cost(console, preview)


def _show_plan(console: Console, preview: Preview) -> None:
    plan, level = preview.plan, preview.plan.level
    _head(console, "Plan")
    facts = Table.grid(padding=(0, 2))
    facts.add_column()
    facts.add_column(overflow="fold")
    rounds = count_noun(level.top_up_rounds, "top-up round")
    effort = f"{level.effort}: {count_noun(plan.wanted, 'exemplar')} a pole, up to {rounds}"
    for name, value in (
        ("synth type", plan.synth_type),
        ("effort", effort),
        ("synth model", preview.endpoint.name),
        ("plan id", plan.plan_id),
        ("prompts", preview.prompts_version),
        *(("own suites", suite.name) for suite in plan.model.own_suites),
        *(("note", sentence) for sentence in preview.notes),
    ):
        facts.add_row(Text(name, style="dim"), Text(value))
    console.print(facts)
    table = _make_table("trait", "type", "pole", "label", quota="right", cells="right")
    for quota in preview.quotas:
        words = (quota.trait, quota.type, quota.pole, quota.label)
        table.add_row(*map(Text, words), f"{quota.wanted:,}", f"{quota.cells:,}")
    console.print(table)
    console.print("Cells are the calls of round 1.")


def _show_scenarios(console: Console, preview: Preview) -> None:
    pool = preview.plan.scenario_pool
    _head(console, "Subjects and scenarios")
    if preview.proposed_by:
        console.print(
            f"A run first asks {preview.proposed_by} for {join_words(list_proposable(preview.plan.model))}, and uses "
            "those before any other. The dry run does not: the subjects below are from the lists. The run will have "
            "another plan id, which depends on what is proposed."
        )
    else:
        console.print("They are as in a run.")
    table = _make_table("", "chosen", "why")
    for part, values in describe_scenario_lists(pool).items():
        more = f"; and {len(values) - SHOWN_VALUES:,} more" if len(values) > SHOWN_VALUES else ""
        chosen = "; ".join(values[:SHOWN_VALUES]) + more
        table.add_row(*(Text(text) for text in (part, chosen, pool.reasons.get(part, ""))))
    console.print(table)
    cells = plan_examples(preview.plan)
    for trait in preview.plan.model.traits:
        shares = count_shares(dict.fromkeys(cell.scenario for cell in cells if cell.trait == trait.key), pool)
        counted = ", ".join(f"{name} {count:,}" for name, count in shares.items())
        console.print(Text(f"{trait.key}, round 1: {counted}; first:"))
        for key, scenario in preview.scenarios:
            if key == trait.key:
                said = (scenario.subject, scenario.form, scenario.audience, scenario.length)
                _print_indented(console, "- " + "; ".join(said))


def _show_prompts(console: Console, preview: Preview, shown: int) -> None:
    """Prints some prompts. Many share a system message, which is printed in full only the first time."""
    systems: dict[str, str] = {}
    for kind in preview.estimate.kinds:
        for example in kind.examples[:shown]:
            _head(console, f"Prompt: {kind.name}")
            request = example.request
            console.print(Text(f"{example.title}, to {kind.endpoint.name}", style="dim"))
            limits = f"max_tokens {request.max_tokens}, temperature {request.temperature:g}"
            console.print(
                Text(f"{limits}{', with the JSON schema of the reply' if request.schema else ''}", style="dim")
            )
            if example.note:
                console.print(Text(example.note, style="dim"))
            for name, text in _list_messages(example, systems):
                console.print(Text(f"{name}:", style="cyan"))
                _print_indented(console, text)


def _list_messages(example: Example, systems: dict[str, str]) -> Iterator[tuple[str, str]]:
    prompt = example.request.prompt
    if prompt.system is None:
        yield "Document to continue", prompt.user
        return
    known = systems.setdefault(prompt.system, example.title)
    for role, text in prompt.messages:
        is_known = role == "system" and known != example.title
        yield role.capitalize(), f"(as for {known})" if is_known else text


def _show_cost(console: Console, preview: Preview) -> None:
    _head(console, "Calls, tokens and cost (an estimate)")
    estimate, table = preview.estimate, _make_table("", likely="right", at_most="right")
    for kind, calls in zip(estimate.kinds, estimate.amounts, strict=True):
        table.add_row(Text(kind.name), f"{calls.likely.calls:,}", f"{calls.most.calls:,}")
    likely, most = estimate.total.likely, estimate.total.most
    for name, low, high in (
        ("calls", likely.calls, most.calls),
        ("tokens in", likely.tokens_in, most.tokens_in),
        ("tokens out", likely.tokens_out, most.tokens_out),
    ):
        table.add_row(Text(name, style="bold"), f"{low:,}", f"{high:,}")
    # A cost that is not known is never shown as a number.
    table.add_row(Text("cost", style="bold"), format_cost(likely.cost_usd), format_cost(most.cost_usd))
    console.print(table)
    for sentence in (ASSUMED, *explain_estimate(estimate)):
        console.print(Text(sentence))
    console.print("Replies that are kept from an earlier start of the same plan are neither requested nor paid again.")
    if preview.refused:
        console.print(Text(f"A run would be refused now. {preview.refused}.", style="bold"))


def _make_table(*words: str, **numbers: str) -> Table:
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in words:
        table.add_column(name, overflow="fold")
    for name, justify in numbers.items():
        table.add_column(name.replace("_", " "), justify="right" if justify == "right" else "left")
    return table


def _print_indented(console: Console, text: str) -> None:
    for line in Text(text).wrap(console, console.width - 2):
        line.rstrip()
        console.print(Text("  ") + line if line else "")


def _head(console: Console, text: str) -> None:
    console.print()
    console.rule(Text(text, style="bold"), align="left")
