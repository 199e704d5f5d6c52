"""The commands ``export`` and ``push``."""

from typing import Annotated

import typer

from flows.cli.options import HAND_ON, HandleArgument, RunOption, json_option

app = typer.Typer()


@app.command("export", rich_help_panel=HAND_ON)
def export_command(
    handle: HandleArgument,
    to: Annotated[str, typer.Option(metavar="PATH", help="A new folder for api and hub, a new file for the others.")],
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="platform (a source of model.yaml), api (bodies of POST …/samples), csv, jsonl, or hub (a folder for "
            "Hugging Face).",
        ),
    ],
    pool: Annotated[str | None, typer.Option(help="train, eval or all. Without it train, for hub all.")] = None,
    run: RunOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    as_json: Annotated[bool, json_option("handle, format, to, pools, runs, samples, left_out, source")] = False,
) -> None:
    """Write a model's attached samples for another program. Nothing is at PATH before it is whole."""
    from engine.export.formats import export_samples
    from engine.settings import read_settings
    from flows.export.show_export import show_export

    settings = read_settings()
    places = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    show_export(export_samples(*places, handle, to, format_name, pool, run, force), as_json)


@app.command("push", rich_help_panel=HAND_ON)
def push_command(
    handle: HandleArgument,
    to: Annotated[str, typer.Option(metavar="URL", help="The address of the platform's API, as https://…/v1.")],
    pool: Annotated[str, typer.Option(help="train, the only pool that may be trained on.")] = "train",
    run: RunOption = None,
    as_json: Annotated[bool, json_option("handle, to, runs, sent, left_out")] = False,
) -> None:
    """Push a model's attached samples to a platform, with EXEMPLARS_PLATFORM_KEY. None is there twice."""
    from engine.settings import read_settings
    from flows.export.push import push_model, show_pushed

    show_pushed(push_model(read_settings(), handle, to, pool, run), as_json)
