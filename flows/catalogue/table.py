"""The work of ``exemplars catalogue``: looks at all models, prints one table of them, and what needs a person."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.text import Text

from engine.catalogue.condition import KINDS, ModelCondition
from engine.catalogue.page import HEAD, count_needing, describe_json, describe_survey, list_cells, survey_catalogue
from engine.settings import Settings
from engine.text.formatting import count_noun
from flows.cli.console import make_console, make_table

# More models than this a person does not read in a terminal: --json has all of them.
SHOWN_MODELS = 40
# What a terminal has room for.
SHOWN = ("model", "found", "samples", "told apart", "last run")
FILL = "exemplars backfill --only-lacking"


def survey_places(settings: Settings) -> list[ModelCondition]:
    """Surveys the catalogue and the store of the settings.

    Raises:
        StoreError: the catalogue or the store cannot be listed.
    """
    return survey_catalogue(settings.locate(settings.models_uri), settings.locate(settings.samples_uri))


def show_catalogue(models: Sequence[ModelCondition], as_json: bool) -> None:
    """Prints the table and what to type; or all of it as one line of JSON."""
    if as_json:
        print(json.dumps(describe_json(models, datetime.now(UTC))))
        return
    console, shown = make_console(), models[:SHOWN_MODELS]
    table = make_table()
    for name in SHOWN:
        table.add_column(name, no_wrap=name in ("model", "found"), justify="right" if name == "samples" else "left")
    for item in shown:
        cells = dict(zip(HEAD, list_cells(item), strict=True))
        table.add_row(*(Text(cells[name]) for name in SHOWN))
    if shown:
        console.print(table)
    if len(models) > SHOWN_MODELS:
        console.print(f"… and {count_noun(len(models) - SHOWN_MODELS, 'more model')}: --json has all of them\n")
    for item in shown:
        for finding in item.findings if item.needs_person else ():
            name = f"{item.handle}: {KINDS[finding.kind]}"
            console.print(Text.assemble((name, "yellow"), ": ", finding.said))
            for command in finding.commands:
                console.print(Text(f"    {command}", style="cyan"), soft_wrap=True)
    if calm := [item for item in models if item.findings and not item.needs_person]:
        console.print(f"{count_noun(len(calm), 'model has', 'models have')} no samples yet")
        console.print(Text(f"    {FILL}", style="cyan"))
    headline, sentence = describe_survey(models)
    console.print(Text(f"{headline}. {sentence}", style="bold yellow" if count_needing(models) else "bold green"))
