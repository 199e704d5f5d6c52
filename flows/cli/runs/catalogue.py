"""The work of ``exemplars catalogue``: looks at all models, prints what needs a person, and writes the page."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from engine.catalogue.examine import Places
from engine.catalogue.survey import Report, Survey, SurveyedModel, list_all_handles, survey_catalogue
from engine.errors import InputError
from engine.report.catalogue_html import render_catalogue
from engine.report.catalogue_page import KIND_NAMES, describe_model, describe_survey
from engine.settings import Settings
from engine.system.filesystem import check_folder_writable, replace_file
from engine.text.formatting import count_noun
from flows.cli.console import make_console
from flows.cli.terminal import shorten_path
from flows.runs.last_runs import read_last_runs

# More models than this a person does not read in a terminal: the page has all of them.
SHOWN_MODELS = 10
PAGE = "catalogue.html"
FILL = "exemplars backfill --only-lacking"


def survey_now(settings: Settings, to: str | None) -> tuple[Survey, str]:
    """Surveys the catalogue and writes its page; returns both, the latter by its path or URI.

    Args:
        to: the page's file; None for one in the cache folder, since a look leaves nothing in the store.

    Raises:
        InputError: the page cannot be written where it is to be, as far as that can be known before.
        StoreError: the catalogue or the store cannot be listed, or the page cannot be written.
    """
    file = str(settings.cache_place / PAGE) if to is None else to
    check_file(file)
    places = Places(settings.locate(settings.models_uri), settings.locate(settings.samples_uri), settings.cache_place)
    handles = list_all_handles(places)
    runs, notes = read_last_runs(handles)
    with _showing_progress() as report:
        survey = asyncio.run(survey_catalogue(places, datetime.now(UTC), runs, notes, report=report))
    replace_file(file, render_catalogue(survey).encode())
    return survey, file


def check_file(file: str) -> None:
    """Checks that a file may be written, before minutes are spent on its content.

    Raises:
        InputError: it is a folder, or its folder may not be written.
    """
    if "://" in file:
        return
    path = Path(file)
    if path.is_dir():
        raise InputError(f"--to {file} is a folder. Give the name of a file, such as {path / PAGE}")
    try:
        check_folder_writable(path.parent)
    except OSError as error:
        raise InputError(f"--to {file} cannot be written: {error.strerror}. Give another place") from None


def show_survey(survey: Survey, file: str, as_json: bool) -> None:
    """Prints what needs a person, and where the page is; or all of it as one line of JSON."""
    if as_json:
        print(json.dumps(_describe(survey, file)))
        return
    for note in survey.notes:
        print(note, file=sys.stderr)
    console = make_console()
    headline, sentence = describe_survey(survey)
    needing = [model for model in survey.models if model.needs_person]
    for model in needing[:SHOWN_MODELS]:
        _show_model(console, model)
    if len(needing) > SHOWN_MODELS:
        console.print(f"… and {count_noun(len(needing) - SHOWN_MODELS, 'more model')} on the page\n")
    calm = [model for model in survey.models if {"empty"} == {finding.kind for finding in model.findings}]
    if calm:
        console.print(f"{count_noun(len(calm), 'model has', 'models have')} no samples yet")
        console.print(Text(f"    {FILL}\n", style="cyan"))
    console.print(Text(f"{headline}. {sentence}", style="bold yellow" if needing else "bold green"))
    console.print(f"page  {shorten_path(file)}", soft_wrap=True)


def _describe(survey: Survey, file: str) -> dict[str, Any]:
    return {
        "surveyed_at": survey.surveyed_at.isoformat(),
        "page": file,
        "need_person": survey.needing,
        "found": dict(survey.count_kinds()),
        "notes": list(survey.notes),
        "models": [describe_model(model) for model in survey.models],
    }


def _show_model(console: Console, model: SurveyedModel) -> None:
    console.print(Text(model.handle, style="bold"))
    for finding in model.findings:
        said = Text.assemble((KIND_NAMES[finding.kind], "yellow" if not finding.is_calm else "dim"), ": ", finding.said)
        console.print(Padding(said, (0, 0, 0, 2)))
        for command in finding.commands:
            console.print(Text(f"    {command}", style="cyan"), soft_wrap=True)
    console.print()


@contextmanager
def _showing_progress() -> Iterator[Report]:
    """Shows a bar on stderr while the models are looked at, where that is a terminal."""
    console = make_console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Looking at models", total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)
