"""The commands ``export`` and ``push``."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from engine.text.formatting import count_noun
from flows.cli.options import HAND_ON, HandleArgument, RunOption, json_option

if TYPE_CHECKING:
    from engine.export.formats import Export

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

    settings = read_settings()
    places = settings.locate(settings.models_uri), settings.locate(settings.samples_uri)
    export = export_samples(*places, handle, to, format_name, pool, run, force)
    print(json.dumps(asdict(export)) if as_json else _describe_export(export))


@app.command("push", rich_help_panel=HAND_ON)
def push_command(
    handle: HandleArgument,
    to: Annotated[str, typer.Option(metavar="URL", help="The address of the platform's API, as https://…/v1.")],
    run: RunOption = None,
    as_json: Annotated[bool, json_option("handle, to, runs, sent, left_out")] = False,
) -> None:
    """Push a model's attached samples to a platform, with EXEMPLARS_PLATFORM_KEY. None is there twice."""
    from engine.settings import read_settings
    from flows.export.push import push_model, show_pushed

    show_pushed(push_model(read_settings(), handle, to, run), as_json)


def _describe_export(export: "Export") -> str:
    """Says what was exported, and how it is used."""
    from engine.export.formats import FORMATS

    of = (
        f"{count_noun(export.samples, 'sample')} of {count_noun(export.runs, 'run')}, pool {' and '.join(export.pools)}"
    )
    lines = [f"Exported from {export.handle}: {of}: {export.to}"]
    if export.left_out:
        lines.append(f"Left out: {count_noun(export.left_out, 'sample')} of traits that the model no longer has.")
    lines.append(FORMATS[export.format].use.replace("{handle}", export.handle))
    return "\n".join([*lines, *(["", export.source.rstrip("\n")] if export.source else [])])
