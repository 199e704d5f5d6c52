"""The commands for authors: ``new``, ``validate``, ``schema`` and ``gx-context``."""

import json
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from flows.cli.options import BEGIN, HAND_ON, json_option

app = typer.Typer()


@app.command("new", rich_help_panel=BEGIN)
def new_command(
    handle: Annotated[str, typer.Argument(help="The new model, as <namespace>.<name>, such as acme.reviews.")],
    blank: Annotated[bool, typer.Option("--blank", help="Ask nothing, even at a terminal.")] = False,
) -> None:
    """Begin a model: write its model.yaml, every field explained. Asks four questions at a terminal."""
    from engine.settings import read_settings
    from flows.authoring.new import begin_model, show_new

    settings = read_settings()
    show_new(settings, begin_model(settings, handle, blank))


@app.command("validate", rich_help_panel=BEGIN)
def validate_command(
    handles: Annotated[list[str] | None, typer.Argument(help="The models. Without any, all.")] = None,
    hints: Annotated[
        bool, typer.Option("--hints/--no-hints", help="Also look for what is no mistake but worth knowing.")
    ] = True,
    as_json: Annotated[bool, json_option("models: [{handle, valid, mistakes, hints…}], strays, valid")] = False,
) -> None:
    """Check models and their samples: every mistake with its line, then hints. Writes nothing."""
    from engine.settings import read_settings
    from flows.authoring.validate import validate_catalogue

    raise typer.Exit(validate_catalogue(read_settings(), handles or [], hints, as_json))


@app.command("schema", rich_help_panel=BEGIN)
def schema_command(
    name: Annotated[Literal["model", "sample"], typer.Argument(help="model.yaml, or a line of samples.")] = "model",
) -> None:
    """Print the JSON Schema of model.yaml or, as `exemplars schema sample`, of a line of samples."""
    from engine.authoring.json_schema import format_schema

    print(format_schema(name), end="")


@app.command("gx-context", rich_help_panel=HAND_ON)
def gx_context_command(
    folder: Annotated[str, typer.Argument(help="A new folder for the project.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier project and all that was added to it.")
    ] = False,
    as_json: Annotated[bool, json_option("place, models, sets, checks")] = False,
) -> None:
    """Write a Great Expectations project over the sample store, with the gate's suites and your own."""
    from engine.settings import read_settings
    from engine.text.formatting import count_noun
    from expectations.gx_project.project import write_project

    written = write_project(read_settings(), folder, force)
    if as_json:
        print(json.dumps(asdict(written)))
        return
    about = f"{count_noun(written.models, 'model')}, {count_noun(written.sets, 'attached set')}"
    print(f"A project of Great Expectations over {about}: {written.place}")
    for name, checks in written.checks.items():
        print(f'  context.checkpoints.get("{name}").run()  # {count_noun(checks, "check")}')
    print(f"{written.place}/README.md says how it is opened.")
