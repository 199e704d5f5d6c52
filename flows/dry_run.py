"""What ``exemplars plan`` prints: a preview for a person, in headings and tables that fit 80 columns."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.calls import OUTLOOKS, Example, Outlook
from engine.estimate import Amount
from engine.preview import Preview
from engine.prices import FREE

SUPPOSED: dict[Outlook, str] = {
    "low": "round 1 alone, short replies",
    "likely": "a second round for a tenth of the quota",
    "high": "every round in full, every reply at its limit",
}


def show_preview(preview: Preview, shown: int) -> None:
    """The plan, prompts of each kind, and the calls with their tokens and cost.

    Args:
        shown: prompts of each kind, at most.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(f"{preview.plan.model.handle}: a dry run, nothing is asked and nothing is written", style="bold")
    _show_plan(console, preview)
    _show_scenarios(console, preview)
    _show_prompts(console, preview, shown)
    _show_calls(console, preview)
    _show_cost(console, preview)


def _show_plan(console: Console, preview: Preview) -> None:
    plan, level = preview.plan, preview.plan.level
    _head(console, "Plan")
    facts = Table.grid(padding=(0, 2))
    facts.add_column()
    facts.add_column(overflow="fold")
    effort = f"{level.effort}: {plan.wanted} exemplars a pole, up to {level.top_up_rounds} top-up rounds"
    for name, value in (
        ("synth type", plan.synth_type),
        ("effort", effort),
        ("synth model", preview.endpoint.name),
        ("plan id", plan.plan_id),
        ("prompts", preview.prompts_version),
        *(("skipped", f"{skipped.what} ({skipped.why})") for skipped in plan.model.skipped),
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
    lists = preview.plan.lists
    _head(console, "Subjects and scenarios")
    if preview.proposed_by:
        console.print(
            f"A run first asks {preview.proposed_by} for subjects and uses those before any other. Nothing is asked "
            f"here: the subjects below are from the lists (pack {lists.pack!r}). The run's plan id will be another, "
            "since its subjects are an input of the plan."
        )
    else:
        console.print(f"The subjects are from the lists (pack {lists.pack!r}), as in a run.")
    for trait in preview.plan.model.traits:
        console.print(Text(f"{trait.key}, first:"))
        for key, scenario in preview.scenarios:
            if key == trait.key:
                said = (scenario.subject, scenario.form, scenario.audience, scenario.length)
                _print_indented(console, "- " + "; ".join(said))


def _show_prompts(console: Console, preview: Preview, shown: int) -> None:
    """System messages are the same for many prompts: each is printed in full where it comes first."""
    systems: dict[str, str] = {}
    for kind in preview.kinds:
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
        yield "Document to go on with", prompt.user
        return
    known = systems.setdefault(prompt.system, example.title)
    yield "System", prompt.system if known == example.title else f"(as for {known})"
    yield "User", prompt.user


def _show_calls(console: Console, preview: Preview) -> None:
    _head(console, "Calls")
    table = _make_table("kind", **dict.fromkeys(OUTLOOKS, "right"))
    for kind, estimate in zip(preview.kinds, preview.estimates, strict=True):
        table.add_row(Text(kind.name), *(f"{estimate.at(outlook).calls:,}" for outlook in OUTLOOKS))
    console.print(table)


def _show_cost(console: Console, preview: Preview) -> None:
    _head(console, "Calls, tokens and cost (an estimate)")
    table = _make_table("", calls="right", tokens_in="right", tokens_out="right", cost="right", supposed="left")
    for outlook in OUTLOOKS:
        amount = preview.total.at(outlook)
        counts = (amount.calls, amount.tokens_in, amount.tokens_out)
        table.add_row(outlook, *(f"{count:,}" for count in counts), _format_cost(amount), SUPPOSED[outlook])
    console.print(table)
    console.print(Text(_explain_price(preview)))
    if preview.plan.level.thinking != "none" and preview.endpoint.price != FREE:
        console.print("What a model thinks before it answers is billed like its answer and not counted here.")
    console.print("Replies kept from an earlier start of the same plan are not asked for again, nor paid.")


def _explain_price(preview: Preview) -> str:
    name, price, limit = preview.endpoint.name, preview.price, preview.limit_usd
    if price == FREE:
        return f"{name} runs on this machine and costs nothing."
    if price is None:
        unheld = "" if limit is None else f", and the run's limit of {_format_usd(limit)} may not hold"
        return f"No list price known for {name}: the cost can't be told{unheld}."
    million = [_format_usd(usd * 1e6) for usd in (price.input_usd, price.output_usd)]
    said = f"List price of {name}: {million[0]} in and {million[1]} out for a million tokens."
    return said if limit is None else f"{said} A run ends before it passes its limit of {_format_usd(limit)}."


def _format_cost(amount: Amount) -> str:
    """A cost that is not known is never shown as a number."""
    return "not known" if amount.cost_usd is None else _format_usd(amount.cost_usd)


def _format_usd(usd: float) -> str:
    return f"${usd:,.4f}" if 0 < usd < 0.1 else f"${usd:,.2f}"


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
