"""The commands ``export`` and ``push``: attached samples go into a file, or to a platform."""

import json
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated

import typer

from engine.errors import InputError, RunInterruptedError
from engine.settings import read_settings
from engine.text.formatting import count_noun
from flows.cli.options import HAND_ON, HandleArgument, RunOption, json_option

app = typer.Typer()


@app.command("export", rich_help_panel=HAND_ON, epilog="Example: exemplars export acme.reviews --to a.csv --format csv")
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
    from engine.export.formats import FORMATS, export_samples

    export = export_samples(read_settings(), handle, to, format_name, pool, run, force)
    if as_json:
        print(json.dumps(asdict(export)))
        return
    of = f"{count_noun(export.samples, 'sample')} of {count_noun(export.runs, 'run')}"
    print(f"Exported from {handle}: {of}, pool {' and '.join(export.pools)}: {export.to}")
    _say_left_out(export.left_out)
    print(FORMATS[export.format].use.replace("{handle}", handle))
    if export.source:
        print(f"\n{export.source}".rstrip("\n"))


@app.command("push", rich_help_panel=HAND_ON, epilog="Example: exemplars push acme.reviews --to https://example.org/v1")
def push_command(
    handle: HandleArgument,
    to: Annotated[str, typer.Option(metavar="URL", help="The address of the platform's API, as https://…/v1.")],
    run: RunOption = None,
    as_json: Annotated[bool, json_option("handle, to, runs, sent, left_out")] = False,
) -> None:
    """Push a model's attached samples to a platform, with EXEMPLARS_PLATFORM_KEY. None is there twice."""
    from rich.text import Text

    from engine.definitions.loader import load_outline
    from engine.export.lines import find_attached, walk_bodies
    from engine.export.platform import Platform, find_base
    from engine.store.store import count_stored
    from flows.cli.console import make_console, make_live

    settings, url = read_settings(), find_base(to)
    if settings.platform_key is None:
        raise InputError(
            f"EXEMPLARS_PLATFORM_KEY is not set: {url} asks for a key of the scope authoring that owns "
            f"{handle.partition('.')[0]}"
        )
    outline = load_outline(settings.models_uri, handle)
    sets = find_attached(settings.samples_uri, handle, ["train"], run)
    count, sent, console = count_stored(sets), 0, make_console(stderr=True)
    platform = Platform(
        url,
        handle,
        settings.platform_key.get_secret_value(),
        settings.call_timeout_seconds,
        settings.patience_seconds,
        lambda text: console.print(Text(text, style="yellow"), soft_wrap=True),
    )
    live = make_live(console, lambda: Text(f"{sent:,} of {count:,} samples sent to {url}"))
    try:
        with live if console.is_terminal else nullcontext(), platform:
            for entries in walk_bodies(outline, sets):
                platform.add_samples(entries)
                sent += len(entries)
    except KeyboardInterrupt:
        raise RunInterruptedError(
            f"interrupted: {count_noun(sent, 'sample')} sent. The same command sends them all; none comes twice"
        ) from None
    runs, left_out = len(sets), count - sent
    if as_json:
        print(json.dumps({"handle": handle, "to": url, "runs": runs, "sent": sent, "left_out": left_out}))
        return
    print(f"Pushed {count_noun(sent, 'sample')} of {count_noun(runs, 'run')} of {handle} to {url}")
    _say_left_out(left_out)


def _say_left_out(count: int) -> None:
    if count:
        print(f"Left out: {count_noun(count, 'sample')} of traits that the model no longer has.")
