"""Writes the folder of a new model: ``model.yaml`` with every field explained, and ``samples.jsonl``."""

import json
import os
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
import yaml

from engine.authoring.answers import EXAMPLE, Answers, PoleAnswer
from engine.authoring.json_schema import SCHEMAS, format_schema
from engine.definitions.loader import MISNAMED_FILE, MODEL_FILE
from engine.definitions.mistakes import Entry
from engine.definitions.schema import (
    BriefEntry,
    LengthEntry,
    MappingEntry,
    ModelEntry,
    ScenariosEntry,
    SourceEntry,
    TraitEntry,
)
from engine.definitions.sources.labelled_lines import CONTENT
from engine.domain.model import POLES, check_handle
from engine.errors import InputError, StoreError
from engine.settings import IS_CHECKOUT, PROJECT_ROOT

TEMPLATE = Path(__file__).parent / "templates" / "model.yaml.jinja"
SAMPLES_FILE = "samples.jsonl"
# Where a checkout has the schema; elsewhere it is written beside the models.
COMMITTED_SCHEMA = PROJECT_ROOT / "docs" / "reference" / "schemas" / "model.schema.json"
SCHEMA_FILE = COMMITTED_SCHEMA.name
WIDTH = 120
# The fields of an object of the file, by its path.
_ENTRIES: Mapping[str, type[Entry]] = {
    "": ModelEntry,
    "traits": TraitEntry,
    "sources": SourceEntry,
    "sources.mapping": MappingEntry,
    "brief": BriefEntry,
    "scenarios": ScenariosEntry,
    "scenarios.lengths": LengthEntry,
}


@dataclass(frozen=True, slots=True)
class NewModel:
    """What was written, as paths; ``schema`` is what editors complete ``definition`` by."""

    handle: str
    definition: Path
    samples: Path
    schema: Path


def check_new(models: Path, handle: str) -> None:
    """Checks that a model can be written.

    Raises:
        HandleError: the handle is malformed.
        InputError: the model is there already.
    """
    folder = models / check_handle(handle)
    for name in (MODEL_FILE, MISNAMED_FILE):
        if os.path.lexists(folder / name):
            raise InputError(
                f"{folder / name} is there already, and stays as it is. Edit it, or begin another model under another "
                "handle"
            )
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{folder} is not a folder. Move it away, or take another handle")


def write_new_model(models: Path, handle: str, answers: Answers = EXAMPLE) -> NewModel:
    """Writes the files of a new model, and overwrites none.

    Args:
        models: the catalogue, a local folder that need not exist yet.

    Raises:
        HandleError, InputError: as ``check_new``.
        StoreError: a file cannot be written; then none of them is left.
    """
    check_new(models, handle)
    folder = models / handle
    schema = locate_schema(models)
    paths = NewModel(handle, folder / MODEL_FILE, folder / SAMPLES_FILE, schema)
    definition = render_definition(handle, answers, os.path.relpath(schema, folder))
    with _undoing(folder) as written:
        folder.mkdir(parents=True, exist_ok=True)
        if schema != COMMITTED_SCHEMA:
            _write_schema(schema)
        # The definition last: a folder without one is no model.
        for path, content in ((paths.samples, _render_samples(answers)), (paths.definition, definition)):
            # Samples may be there before their model is.
            with suppress(FileExistsError) if path == paths.samples else _refusing(path), path.open("xb") as file:
                written.append(path)
                file.write(content.encode())
    return paths


def locate_schema(models: Path) -> Path:
    """Locates the schema of ``model.yaml`` for the models of a folder: that of the checkout if they are inside it."""
    if IS_CHECKOUT and COMMITTED_SCHEMA.is_file() and models.absolute().is_relative_to(PROJECT_ROOT):
        return COMMITTED_SCHEMA
    return models / SCHEMA_FILE


def render_definition(handle: str, answers: Answers, schema: str) -> str:
    """Renders ``model.yaml``.

    Args:
        schema: the path of its schema from the model's folder.
    """
    line = json.dumps({CONTENT: "…", answers.key: 1}, ensure_ascii=False)
    path = schema.replace(os.sep, "/")
    return _load_template().render(handle=handle, answers=answers, schema=path, line=line)


def _render_samples(answers: Answers) -> str:
    lines = [
        json.dumps({CONTENT: text, answers.key: int(pole == "positive")}, ensure_ascii=False)
        for pole in POLES
        for text in answers.pole(pole).examples
    ]
    return "".join(f"{line}\n" for line in lines)


def _write_schema(path: Path) -> None:
    """Writes the schema beside the models, or brings one of an earlier version up to date; no other file is touched."""
    content = format_schema("model")
    if path.is_file():
        known = path.read_text(encoding="utf-8", errors="replace")
        if known == content or SCHEMAS["model"][1] not in known:
            return
    path.write_text(content, encoding="utf-8")


@contextmanager
def _undoing(folder: Path) -> Iterator[list[Path]]:
    """Removes what was written if not all of it could be; yields the list of what was.

    Raises:
        StoreError: a file cannot be written.
    """
    written: list[Path] = []
    was_there = folder.exists()
    try:
        yield written
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if not was_there:
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            why = error.strerror or error
            raise StoreError(
                f"{folder} cannot be written: {why}. Free space or permit writing, or name another folder in "
                "EXEMPLARS_MODELS_URI"
            ) from error
        raise


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Refuses to overwrite a definition that another process has written meanwhile.

    Raises:
        InputError: it is there.
    """
    try:
        yield
    except FileExistsError:
        raise InputError(f"{path} is there already, and stays as it is") from None


@cache
def _load_template() -> jinja2.Template:
    # It writes YAML, in which nothing is to be escaped as HTML.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)  # noqa: S701
    environment.globals |= {"say": _explain}
    environment.filters |= {"scalar": _write_scalar, "paraphrase": _write_paraphrase}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _explain(path: str, indent: int | None = None, inside: str = "", more: str = "") -> str:
    """Writes the description of a field as comment lines.

    Args:
        path: the field with the fields that it stands in, "traits.key".
        indent: how far the comment stands in; as far as the object that the field is of where None.
        inside: what stands before each line, where the field itself is in a comment.
        more: what is said beside the description.
    """
    parent, _, name = path.rpartition(".")
    described = " ".join(filter(None, [_ENTRIES[parent].model_fields[name].description, more]))
    margin = inside or " " * (2 * len(parent.split(".") if parent else []) if indent is None else indent)
    start = f"{margin}# "
    return textwrap.fill(described, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def _write_scalar(text: str) -> str:
    """Writes a text of one line as YAML, in quotes only where it needs them."""
    return yaml.safe_dump(text, allow_unicode=True, width=10**9).removesuffix("...\n").strip()


def _write_paraphrase(pole: PoleAnswer, field: str) -> str:
    if not pole.paraphrase:
        return f"# {field}: What such a text is like, in a sentence."
    return f"{field}: {_write_scalar(pole.paraphrase)}"
