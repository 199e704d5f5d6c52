"""Write the folder of a new model: ``model.yaml`` with every field explained, and ``samples.jsonl``."""

import json
import os
import shutil
import textwrap
from functools import cache
from pathlib import Path

import jinja2
import yaml

from engine.authoring.answers import EXAMPLE, SAMPLES_FILE, Answers, PoleAnswer
from engine.definitions.loader import MODEL_FILE
from engine.definitions.schema import OBJECTS, format_schema, list_fields
from engine.definitions.sources.tables import CONTENT
from engine.domain.model import POLES, check_handle
from engine.errors import InputError, StoreError
from engine.rules.rules import OPTIONAL_RULES
from engine.settings import IS_CHECKOUT, PROJECT_ROOT

TEMPLATE = Path(__file__).parent / "templates" / "model.yaml.jinja"
# The schema in a checkout; an installed program writes it next to the models.
COMMITTED_SCHEMA = PROJECT_ROOT / "docs" / "reference" / "schemas" / "model.schema.json"
SCHEMA_FILE = COMMITTED_SCHEMA.name
WIDTH = 120


def check_new(models: Path, handle: str) -> None:
    """Check that a new model's handle is valid and unused.

    Raises:
        HandleError: the handle is malformed.
        InputError: the model exists already.
    """
    path = models / check_handle(handle) / MODEL_FILE
    if os.path.lexists(path):
        raise InputError(
            f"{path} is there already, and stays as it is. Edit it, or begin another model under another handle"
        )


def write_new_model(models: Path, handle: str, answers: Answers = EXAMPLE) -> Path:
    """Write the files of a new model without overwriting any; return the path of its ``model.yaml``.

    Args:
        models: the catalogue, a local folder that may not exist yet.

    Raises:
        HandleError, InputError: as ``check_new``.
        StoreError: a file cannot be written.
    """
    check_new(models, handle)
    folder, schema = models / handle, locate_schema(models)
    samples = [
        json.dumps({CONTENT: text, answers.key: int(pole == "positive")}, ensure_ascii=False) + "\n"
        for pole in POLES
        for text in answers.pole(pole).examples
    ]
    # The definition is last: a folder without it is not a model, so a failure leaves none.
    contents = {
        schema: format_schema(),
        folder / SAMPLES_FILE: "".join(samples),
        folder / MODEL_FILE: render_definition(handle, answers, os.path.relpath(schema, folder)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (texts := answers.unlabelled_texts) and not (folder / texts.name).exists():
            shutil.copyfile(texts, folder / texts.name)
        for path, content in contents.items():
            if not path.exists():
                path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror or error}. Free space or permit writing, or name another "
            "folder in EXEMPLARS_MODELS_URI"
        ) from error
    return folder / MODEL_FILE


def locate_schema(models: Path) -> Path:
    """Return the path of the schema for the models in a folder: the checkout's schema if they are inside it."""
    if IS_CHECKOUT and COMMITTED_SCHEMA.is_file() and models.absolute().is_relative_to(PROJECT_ROOT):
        return COMMITTED_SCHEMA
    return models / SCHEMA_FILE


def render_definition(handle: str, answers: Answers, schema: str) -> str:
    """Render ``model.yaml``.

    Args:
        schema: path of its schema, relative to the model's folder.
    """
    line = json.dumps({CONTENT: "…", answers.key: 1}, ensure_ascii=False)
    path = schema.replace(os.sep, "/")
    return _load_template().render(handle=handle, answers=answers, schema=path, line=line)


@cache
def _load_template() -> jinja2.Template:
    # No HTML escapes, since the template writes YAML.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701
    environment.globals |= {"say": _explain, "optional_rules": f"{', '.join(OPTIONAL_RULES)}."}
    environment.filters |= {"scalar": _write_scalar, "paraphrase": _write_paraphrase}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _explain(path: str, margin: str = "", more: str = "") -> str:
    """Return the description of a field as comment lines.

    Args:
        path: class among ``OBJECTS`` and field: "Trait.key".
        margin: prefix of each line.
        more: text that follows the description.
    """
    kind, name = path.split(".")
    described = " ".join(filter(None, [list_fields(OBJECTS[kind])[name].description, more]))
    start = f"{margin}# "
    return textwrap.fill(described, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def _write_scalar(text: str) -> str:
    return yaml.safe_dump(text, allow_unicode=True, width=10**9).removesuffix("...\n").strip()


def _write_paraphrase(pole: PoleAnswer, field: str) -> str:
    if not pole.paraphrase:
        return f"# {field}: What such a text is like, in a sentence."
    return f"{field}: {_write_scalar(pole.paraphrase)}"
