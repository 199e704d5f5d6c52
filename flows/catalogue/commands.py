"""The command ``catalogue``: one table of all models, and the findings that need a person."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from engine.settings import read_settings
from engine.text.formatting import count_noun
from flows.cli.in_process import quiet_libraries
from flows.cli.options import KEEP, json_option

if TYPE_CHECKING:
    from engine.catalogue.condition import ModelCondition

# Columns that fit into 80 characters.
SHOWN = ("model", "findings", "samples", "last run")
FILL = "exemplars backfill --only-lacking"

app = typer.Typer()


@app.command("catalogue", rich_help_panel=KEEP, epilog="Example: exemplars catalogue")
def catalogue_command(
    as_json: Annotated[bool, json_option("surveyed_at, need_person, models, costs")] = False,
) -> None:
    """Show all models at a glance: which need you, why, and what to type. Changes no model."""
    quiet_libraries(verbose=False)
    from engine.catalogue.page import describe_json, survey_catalogue
    from flows.cli.console import say_reading

    models = survey_catalogue(read_settings(), say_reading)
    if as_json:
        print(json.dumps(describe_json(models, datetime.now(UTC))))
    else:
        _show(models)


def _show(models: "Sequence[ModelCondition]") -> None:
    from rich.text import Text

    from engine.catalogue.condition import KINDS
    from engine.catalogue.page import COSTS_HEAD, HEAD, count_needing, describe_survey, list_cells, list_cost_cells
    from flows.cli.console import make_console, make_table

    console, table = make_console(), make_table()
    for name in SHOWN:
        table.add_column(name, no_wrap=name in ("model", "findings"), justify="right" if name == "samples" else "left")
    for item in models:
        cells = dict(zip(HEAD, list_cells(item), strict=True))
        table.add_row(*(Text(cells[name]) for name in SHOWN))
    if models:
        console.print(table)
    for item in models:
        for finding in item.findings if item.needs_person else ():
            name = f"{item.handle}: {KINDS[finding.kind]}"
            console.print(Text.assemble((name, "yellow"), ": ", finding.message))
            for command in finding.commands:
                console.print(Text(f"    {command}", style="cyan"), soft_wrap=True)
    if empty := [item for item in models if item.findings and not item.needs_person]:
        console.print(f"{count_noun(len(empty), 'model has', 'models have')} no samples yet")
        console.print(Text(f"    {FILL}", style="cyan"))
    if costs := list_cost_cells(models):
        costs_table = make_table(*COSTS_HEAD[:2], numbers=COSTS_HEAD[2:])
        for row in costs:
            costs_table.add_row(*map(Text, row))
        console.print(costs_table)
    headline, sentence = describe_survey(models)
    console.print(Text(f"{headline}. {sentence}", style="bold yellow" if count_needing(models) else "bold green"))
