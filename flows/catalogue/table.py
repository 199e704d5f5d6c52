"""The work of ``exemplars catalogue``: looks at all models, prints one table of them, and what needs a person."""

import json

from rich.text import Text

from engine.catalogue.page import HEAD, KIND_NAMES, Survey, describe_json, describe_survey, list_cells, needs_person
from engine.settings import Settings
from engine.text.formatting import count_noun
from flows.catalogue.survey import survey_catalogue
from flows.cli.console import make_console, make_table

# More models than this a person does not read in a terminal: --json has all of them.
SHOWN_MODELS = 40
# What a terminal has room for.
SHOWN = ("model", "found", "samples", "told apart", "last run")
FILL = "exemplars backfill --only-lacking"


def show_catalogue(settings: Settings, as_json: bool) -> None:
    """Surveys the catalogue, and prints the table and what to type; or all of it as one line of JSON.

    Raises:
        StoreError: the catalogue or the store cannot be listed.
    """
    survey = survey_catalogue(settings)
    if as_json:
        print(json.dumps(describe_json(survey)))
    else:
        _print(survey)


def _print(survey: Survey) -> None:
    console, ranked = make_console(), survey.rank()
    table = make_table()
    for name in SHOWN:
        table.add_column(name, no_wrap=name in ("model", "found"), justify="right" if name == "samples" else "left")
    for model, findings in ranked[:SHOWN_MODELS]:
        cells = dict(zip(HEAD, list_cells(model, findings), strict=True))
        table.add_row(*(Text(cells[name]) for name in SHOWN))
    if ranked:
        console.print(table)
    if len(ranked) > SHOWN_MODELS:
        console.print(f"… and {count_noun(len(ranked) - SHOWN_MODELS, 'more model')}: --json has all of them\n")
    for model, findings in ranked[:SHOWN_MODELS]:
        for finding in findings if needs_person(findings) else ():
            said = Text.assemble((f"{model.handle}: {KIND_NAMES[finding.kind]}", "yellow"), ": ", finding.said)
            console.print(said)
            for command in finding.commands:
                console.print(Text(f"    {command}", style="cyan"), soft_wrap=True)
    if calm := [model for model, findings in ranked if findings and not needs_person(findings)]:
        console.print(f"{count_noun(len(calm), 'model has', 'models have')} no samples yet")
        console.print(Text(f"    {FILL}", style="cyan"))
    headline, sentence = describe_survey(survey)
    needing = any(needs_person(findings) for _, findings in ranked)
    console.print(Text(f"{headline}. {sentence}", style="bold yellow" if needing else "bold green"))
