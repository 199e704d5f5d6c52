"""The commands for authors: ``new``, ``validate``, ``suggest``, ``add`` and ``gx-context``."""

import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import InputError
from engine.settings import read_settings
from engine.text.formatting import count_noun, quote_formulas
from flows.cli.options import BEGIN, HAND_ON, LABELLED_HELP, HandleArgument, JsonOption, json_option

app = typer.Typer()


@app.command("new", rich_help_panel=BEGIN, epilog="Example: exemplars new acme.reviews")
def new_command(
    handle: Annotated[str, typer.Argument(help="The new model, as <namespace>.<name>, such as acme.reviews.")],
    blank: Annotated[bool, typer.Option("--blank", help="Ask nothing, even at a terminal.")] = False,
) -> None:
    """Begin a model: write its model.yaml, every field explained. Asks five questions at a terminal."""
    from flows.authoring.new import begin_model

    begin_model(read_settings(), handle, blank)


@app.command("validate", rich_help_panel=BEGIN, epilog="Example: exemplars validate u22a8.technical-writing")
def validate_command(
    handles: Annotated[list[str] | None, typer.Argument(help="The models. Without any, all.")] = None,
    hints: Annotated[
        bool, typer.Option("--hints/--no-hints", help="Also look for what is no mistake but worth knowing.")
    ] = True,
    as_json: Annotated[bool, json_option("models: [{handle, valid, mistakes, hints…}], strays, valid")] = False,
) -> None:
    """Check models and their samples: every mistake with its line, then hints. Writes nothing."""
    from engine.authoring.validation import list_strays, validate_models
    from engine.definitions.loader import list_handles
    from engine.text.embedding import SentenceEncoder
    from flows.authoring.suites import check_suites
    from flows.cli.console import say_reading

    settings, encoder = read_settings(), SentenceEncoder()
    chosen = list(dict.fromkeys(handles or ())) or list_handles(settings.models_uri)
    if not chosen:
        raise InputError(f"There are no models in {settings.models_uri}. 'exemplars new acme.reviews' begins one")
    validations = []
    say_reading(len(chosen))
    for validation in validate_models(settings.models_uri, chosen, partial(check_suites, settings), hints, encoder):
        validations.append(validation)
        if not as_json:
            print(validation, flush=True)
    strays = [] if handles else list_strays(settings.models_uri)
    if as_json:
        models = [{**asdict(item), "valid": item.is_valid, "refusal": item.refusal or None} for item in validations]
        is_valid = all(item.is_valid for item in validations)
        print(json.dumps({"models": models, "strays": [asdict(stray) for stray in strays], "valid": is_valid}))
    else:
        for stray in strays:
            print(f"hint: {stray}")
        invalid = sum(not item.is_valid for item in validations)
        hint_count = sum(len(item.hints) for item in validations) + len(strays)
        counts = ["no mistakes" if not invalid else f"{invalid:,} with mistakes"]
        counts += [count_noun(hint_count, "hint")] if hint_count else []
        print(f"{count_noun(len(validations), 'model')}: {', '.join(counts)}")
    raise typer.Exit(max(validation.exit_code for validation in validations))


@app.command("suggest", rich_help_panel=BEGIN, epilog="Example: exemplars suggest acme.reviews --to labels.csv")
def suggest_command(
    handle: HandleArgument,
    to: Annotated[str, typer.Option(metavar="FILE.csv", help="A new table, for any spreadsheet.")],
    count: Annotated[int, typer.Option(metavar="N", help="How many texts, for all traits together.")] = 40,
) -> None:
    """Write a table of those texts of your own that are most worth a label. Fill it in, then `add` it."""
    from engine.authoring.suggestions import explain_suggestions, suggest_texts
    from engine.definitions.loader import load_model
    from engine.system.filesystem import Target
    from engine.text.embedding import SentenceEncoder

    if not to.lower().endswith(".csv"):
        raise InputError(f"{to} is no name of a CSV file. Give one that ends in .csv as --to")
    if Path(to).exists():
        raise InputError(f"{to} exists, and may have labels of yours. Give a new file as --to")
    target = Target(Path(to), None, force=False)
    target.check()
    model = load_model(read_settings().models_uri, handle)
    with typer.progressbar(length=len(model.texts.drawn), label="Placing texts", file=sys.stderr) as bar:
        frame = suggest_texts(model, count, SentenceEncoder(), bar.update)
    with target.making() as place:
        # Excel recognizes UTF-8 by its byte order mark.
        frame.map(quote_formulas).to_csv(place, index=False, encoding="utf-8-sig")
    print(explain_suggestions(model, frame, to))


@app.command("add", rich_help_panel=BEGIN, epilog="Example: exemplars add acme.reviews labels.csv")
def add_command(
    handle: HandleArgument,
    file: Annotated[str, typer.Argument(help=f"{LABELLED_HELP} Texts without a label are passed over. - reads stdin.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be added, and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Add texts that you have labelled to a model's own samples, all of them or none."""
    from engine.authoring.labelled_texts import add_labelled
    from flows.cli.labelled_file import read_labelled_file

    settings = read_settings()
    labelled = read_labelled_file(settings, handle, file)
    addition = add_labelled(settings.models_uri, handle, labelled, dry_run)
    print(json.dumps(asdict(addition)) if as_json else addition)


@app.command("gx-context", rich_help_panel=HAND_ON, epilog="Example: exemplars gx-context quality")
def gx_context_command(
    folder: Annotated[str, typer.Argument(help="A new folder for the project.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier project and all that was added to it.")
    ] = False,
    as_json: Annotated[bool, json_option("place, models, checks")] = False,
) -> None:
    """Write a Great Expectations project over all attached sets, with the gate's suites."""
    from expectations.gx_project.project import write_project

    written = write_project(read_settings(), folder, force)
    if as_json:
        print(json.dumps(asdict(written)))
        return
    print(f"A project of Great Expectations over {count_noun(written.models, 'model')}: {written.place}")
    for name, checks in written.checks.items():
        print(f'  context.checkpoints.get("{name}").run()  # {count_noun(checks, "check")}')
    print(f"{written.place}/README.md says how it is opened.")
