"""The command ``catalogue``."""

from typing import Annotated

import typer

from flows.cli.in_process import quiet_libraries

app = typer.Typer()


@app.command("catalogue")
def catalogue_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one line {surveyed_at, need_person, models}.")] = False,
) -> None:
    """Shows how the catalogue is: of all models what needs a person, and what to type. Changes no model."""
    quiet_libraries(verbose=False)
    from engine.settings import read_settings
    from flows.catalogue.table import show_catalogue

    show_catalogue(read_settings(), as_json)
