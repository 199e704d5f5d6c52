"""The commands ``exemplars models list``, ``get`` and ``remove``: the files of embedded models."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import InputError
from engine.settings import read_settings
from engine.text.formatting import format_bytes
from flows.cli.options import JsonOption

if TYPE_CHECKING:
    from engine.llm.embedded.embedded_models import EmbeddedModel

app = typer.Typer(no_args_is_help=True, help="List, get and remove the files of embedded models.")

NameArgument = Annotated[str, typer.Argument(help="A name of `exemplars models list`, such as qwen2.5-coder-0.5b.")]


@app.command("list", epilog="Example: exemplars models list")
def list_command(as_json: JsonOption = False) -> None:
    """List the embedded models that are known by name, and where their files are."""
    from engine.llm.embedded import embedded_models

    folder, models = Path(read_settings().embedded_dir), embedded_models.list_embedded_models()
    if as_json:
        fields = {"bytes", "licence", "style", "sha256"}
        rows = [
            {"name": name, **model.model_dump(include=fields), "languages": sorted(model.languages)}
            | {"path": str(path) if (path := model.find(folder)) else None}
            for name, model in models.items()
        ]
        print(json.dumps(rows))
        return
    print(f"{'model':<22} {'size':>7}  {'licence':<12} file")
    for name, model in models.items():
        where = model.find(folder) or f"not here: {model.advise_download(name)}"
        print(f"{name:<22} {format_bytes(model.bytes):>7}  {model.licence:<12} {where}")


@app.command("get", epilog="Example: exemplars models get qwen2.5-coder-1.5b")
def get_command(name: NameArgument) -> None:
    """Get the file of an embedded model. A file with a wrong digest is never used."""
    from engine.llm.embedded.download import get_model
    from engine.llm.embedded.embedded_models import EMBEDDED, find_embedded

    model, settings = _find(name), read_settings()
    if model.installed is not None:
        print(find_embedded(f"{EMBEDDED}/{name}", settings).path)
        return
    folder = Path(settings.embedded_dir)
    if model.find(folder) is None:
        print(f"Getting {name}, {format_bytes(model.bytes)}, into {folder}", file=sys.stderr, flush=True)
    print(get_model(name, model, folder))


@app.command("remove", epilog="Example: exemplars models remove qwen2.5-coder-1.5b")
def remove_command(name: NameArgument) -> None:
    """Remove the file of an embedded model."""
    from engine.llm.embedded.download import remove_model

    model, folder = _find(name), Path(read_settings().embedded_dir)
    if model.installed is not None:
        raise InputError(f"{name} is part of the project's packages, and can only be removed with them")
    removed = remove_model(model, folder)
    print(f"Removed {format_bytes(removed)} from {folder}" if removed else f"{name} is not in {folder}")


def _find(name: str) -> "EmbeddedModel":
    from engine.llm.embedded import embedded_models

    models = embedded_models.list_embedded_models()
    if name not in models:
        raise InputError(f"{name!r} is not an embedded model. Known models: {', '.join(models)}")
    return models[name]
