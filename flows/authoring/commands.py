"""The commands for authors: ``new``, ``validate``, ``schema`` and ``gx-context``."""

from typing import Annotated, Literal

import typer

app = typer.Typer()


@app.command("new")
def new_command(
    handle: Annotated[str, typer.Argument(help="The new model, as <namespace>.<name>, such as acme.reviews.")],
    blank: Annotated[bool, typer.Option("--blank", help="Ask nothing, at a terminal too.")] = False,
) -> None:
    """Begins a model: model.yaml with every field explained, and samples.jsonl. Asks four questions at a terminal."""
    from engine.settings import read_settings
    from flows.authoring.new import begin_model, show_new

    settings = read_settings()
    show_new(settings, begin_model(settings, handle, blank))


@app.command("validate")
def validate_command(
    handles: Annotated[list[str] | None, typer.Argument(help="Models by name; all where none is named.")] = None,
    hints: Annotated[
        bool, typer.Option("--hints/--no-hints", help="Whether to look for what is no mistake, and worth knowing.")
    ] = True,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one line {models: [{handle, valid, mistakes, hints…}], strays, valid}."),
    ] = False,
) -> None:
    """Checks models with their samples: every mistake with its line, then hints. Calls no model and writes nothing."""
    from engine.settings import read_settings
    from flows.authoring.validate import validate_catalogue

    raise typer.Exit(validate_catalogue(read_settings(), handles or [], hints, as_json))


@app.command("schema")
def schema_command(
    name: Annotated[Literal["model", "sample"], typer.Argument(help="model.yaml, or a line of samples.")] = "model",
) -> None:
    """Prints the JSON Schema of model.yaml or, as `exemplars schema sample`, of a line of samples."""
    from engine.authoring.json_schema import format_schema

    print(format_schema(name), end="")


@app.command("gx-context")
def gx_context_command(
    folder: Annotated[str, typer.Argument(help="A new folder for the project.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier project, with all that was added to it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line {place, models, sets, checks}.")] = False,
) -> None:
    """Writes a project of Great Expectations over the sample store, with the gate's suites and those of your own."""
    from engine.settings import read_settings
    from expectations.gx_project.project import write_project
    from flows.authoring.gx_context import show_written

    show_written(write_project(read_settings(), folder, force), as_json)
