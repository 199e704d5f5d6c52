"""The command ``catalogue``."""

from typing import Annotated

import typer

from flows.cli.in_process import quiet_libraries
from flows.cli.options import KEEP, json_option

app = typer.Typer()


@app.command("catalogue", rich_help_panel=KEEP)
def catalogue_command(
    as_json: Annotated[bool, json_option("surveyed_at, need_person, models")] = False,
) -> None:
    """Show all models at a glance: which need you, why, and what to type. Changes no model."""
    quiet_libraries(verbose=False)
    from engine.settings import read_settings
    from flows.catalogue.table import show_catalogue, survey_places

    show_catalogue(survey_places(read_settings()), as_json)
