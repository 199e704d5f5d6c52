"""Write the tables of ``docs/reference`` from the code that they describe; cog inserts them into the pages."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
import yaml
from pydantic.fields import FieldInfo

from engine import errors
from engine.asking.fields import UNITS, VECTORS_FILE, list_phrases
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.definitions.schema import format_schema
from engine.domain.finding import CODES
from engine.domain.model import EFFORTS
from engine.errors import ExemplarsError
from engine.rules.rules import RULES
from engine.settings import SHIPPED_ROOT, Settings
from engine.text.embedding import encode
from engine.text.formatting import capitalise


def write_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table."""
    return "\n".join(_write_row(row) for row in (head, ["---"] * len(head), *rows))


def _write_row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _stack(table: str) -> str:
    """Mark a table that a narrow screen shows as a list (``docs/assets/site.css``)."""
    return f'<div class="stacked" markdown>\n\n{table}\n\n</div>'


def write_settings(*prefixes: str) -> str:
    """Describe the settings with one of these prefixes, in their order in the class."""
    fields = [(name, field) for name, field in Settings.model_fields.items() if name.startswith(prefixes)]
    rows = [[f"`EXEMPLARS_{name.upper()}`", _describe_setting(field)] for name, field in fields]
    return _stack(write_table(["variable", ""], rows))


def _describe_setting(field: FieldInfo) -> str:
    description = " ".join((field.description or "").split())
    default = "" if field.default in (None, "") else f"Default `{field.default}`."
    return f"{description} {default}".strip()


def write_commands(app: typer.Typer, typed: str) -> str:
    """Describe each command of an app, with its usage, options and defaults."""
    root: Any = typer.main.get_command(app)
    return "\n\n".join(_write_command(command, name) for name, command in _walk_commands(root, typed))


def _walk_commands(command: Any, typed: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield typed, command
        return
    # In the order in which --help lists them.
    for name in command.list_commands(None):
        yield from _walk_commands(command.commands[name], f"{typed} {name}")


def _write_command(command: Any, typed: str) -> str:
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = [item for item in command.params if item.param_type_name == "option" and item.name != "help"]
    rows = [[f"`{item.name.upper()}`", "", _flatten(item.help)] for item in arguments]
    rows += [[_write_option(item), _write_value(item.default), _flatten(item.help)] for item in options]
    example = f"```console\n$ {command.epilog.removeprefix('Example: ')}\n```" if command.epilog else ""
    parts = [f"## {typed}", _flatten(command.help), example, write_table(["", "default", ""], rows) if rows else ""]
    return "\n\n".join(filter(None, parts))


def _write_option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    return names if option.is_flag else f"{names} {option.name.upper()}"


def _write_value(value: object) -> str:
    return "" if value in (None, False, "", []) or callable(value) else f"`{value}`"


def _flatten(text: str | None) -> str:
    return " ".join((text or "").split()).replace("<", "&lt;")


def write_dial() -> str:
    """Return the shipped effort dial: a row for each field, a column for each level."""
    dial = yaml.safe_load((SHIPPED_ROOT / "data/effort.yaml").read_text(encoding="utf-8"))
    levels = [dial["levels"][effort] for effort in EFFORTS]
    rows = [[f"`{name}`", *(level[name] for level in levels)] for name in levels[0]]
    return write_table(["", *(f"`{effort}`" for effort in EFFORTS)], rows)


def write_reasons() -> str:
    """Return the rejection rules in order: code, explanation, remedy, and whether a model can switch the rule off."""
    rows = [
        [f"`{rule.code}`", rule.explanation, f"{capitalise(rule.remedy)}.", "yes" if rule.is_optional else ""]
        for rule in RULES
    ]
    return _stack(write_table(["`reason`", "means", "if there are many", "optional"], rows))


def write_findings() -> str:
    """Return the codes of findings, each with its meaning."""
    return write_table(["`code`", "means"], [[f"`{code}`", meaning] for code, meaning in CODES.items()])


def write_suite(name: str) -> str:
    """Describe the expectations of a suite: meaning, severity and the remedy for a warning."""
    suite = json.loads((SHIPPED_ROOT / f"expectations/{name}.json").read_text(encoding="utf-8"))
    rows = [
        [item["meta"]["says"], item["severity"], item["meta"].get("do", ""), f"`{item['type']}`"]
        for item in suite["expectations"]
    ]
    return _stack(write_table(["holds", "severity", "what to do", "expectation"], rows))


def write_errors() -> str:
    """Describe every error that ends a command, by exit code."""
    kinds = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, ExemplarsError)]
    rows = [
        [error.exit_code, f"`{error.__name__}`", _flatten(error.__doc__).replace("``", "`")]
        for error in sorted(kinds, key=lambda error: (error.exit_code, error.__name__))
        if error is not ExemplarsError
    ]
    return _stack(write_table(["code", "error", "means"], rows))


def write_schemas() -> None:
    """Write the JSON Schema of ``model.yaml``."""
    Path("docs/reference/schemas/model.schema.json").write_text(format_schema(), encoding="utf-8")


def write_vectors() -> None:
    """Write the vectors of the scenario packs' phrases if these have changed: other machines round differently."""
    phrases = [phrase for group in list_phrases(load_packs(SCENARIOS_FOLDER).packs.items()) for phrase in group]
    if not VECTORS_FILE.exists() or np.load(VECTORS_FILE)["phrases"].tolist() != phrases:
        vectors = np.rint(encode(phrases) * UNITS).astype(np.int16)
        np.savez_compressed(VECTORS_FILE, phrases=np.array(phrases), vectors=vectors)


def write_notebook(path: str) -> str:
    """Return the cells of a notebook, each with its output, without the title, which the page has."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    written = [part for cell in cells for part in _write_cell(cell)]
    return "\n\n".join(written).partition("\n\n")[2]


def _write_cell(cell: Mapping[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield from source.split("\n\n")
        return
    yield f"```python\n{source}\n```"
    shown = ["".join(item.get("text") or item["data"]["text/plain"]) for item in cell["outputs"]]
    if shown:
        yield f"```text\n{''.join(shown).rstrip()}\n```"
