"""Parse the catalogue's YAML files: all values as plain text, each with its line number."""

import os
from dataclasses import dataclass
from functools import lru_cache

import yaml

from engine.domain.characters import INVALID, INVALID_CHARACTER, VALID
from engine.errors import DefinitionError, Problem
from engine.system.filesystem import OutsideFolderError, read_inside

MAX_BYTES = 1024 * 1024
NULLS = {"", "~", "null", "Null", "NULL"}

Path = tuple[str | int, ...]


class Fields(dict[str, "Value"]):
    """An object of the file; ``path`` is its position."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path


Value = str | None | list["Value"] | Fields


@dataclass(frozen=True, slots=True)
class Document:
    """Values of a file, every scalar as its text, and the line number of each path. Treat them as read-only."""

    name: str
    value: Value
    lines: dict[Path, int]

    def line(self, path: Path) -> int | None:
        """Return the line of a path, or of its nearest parent in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def locate(self, path: Path) -> str:
        """Return the file and line of a path for messages: ``file:line``."""
        return f"{self.name}:{self.line(path) or 1}"


class _NoAliases(yaml.SafeLoader):
    """YAML loader that refuses anchors and aliases: they let a small file expand hugely ("billion laughs")."""

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        # PyYAML's stubs leave `peek_event` untyped, and declare the index of `compose_node` as a number only.
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None):
            raise yaml.composer.ComposerError(None, None, "anchors and aliases are not read here", event.start_mark)
        return super().compose_node(parent, index)  # type: ignore[arg-type]


def read_authored(models_uri: str, handle: str, name: str) -> bytes | None:
    """Return the content of a file in a model's folder; None if it does not exist.

    Raises:
        DefinitionError: it is not a file, or a link to a place outside the folder.
        StoreError: it cannot be read.
    """
    folder = f"{models_uri.rstrip('/')}/{handle}"
    try:
        return read_inside(folder, name)
    except FileNotFoundError:
        if "://" in folder or not os.path.lexists(f"{folder}/{name}"):
            return None
        fault = "a folder, or a link to nothing"
    except OutsideFolderError:
        fault = "a link to elsewhere"
    raise DefinitionError.of_file(f"{handle}/{name}", fault, "a file")


# Cached, since a run reads its model and the effort dial several times. Reading takes a hundredth of the parsing time.
@lru_cache(maxsize=32)
def parse_yaml(name: str, content: bytes) -> Document:
    """Parse a YAML file without evaluating scalars: a number stays the text in the file.

    Raises:
        DefinitionError: the file is not UTF-8 or YAML, over 1 MiB, nested too deeply, has anchors or a repeated field.
    """
    if len(content) > MAX_BYTES:
        raise DefinitionError.of_file(name, f"{len(content):,} bytes", f"{MAX_BYTES:,} bytes at most")
    lines: dict[Path, int] = {}
    problems: list[Problem] = []
    try:
        node = yaml.compose(content.decode(), Loader=_NoAliases)
        value = None if node is None else _read_node(node, (), lines, problems, name)
    except UnicodeDecodeError as error:
        raise DefinitionError.of_file(name, f"a byte that is not UTF-8 at offset {error.start}", "UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DefinitionError.of_file(name, *_describe_error(error), mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise DefinitionError.of_file(name, str(error).splitlines()[0], "YAML text") from None
    except RecursionError:
        raise DefinitionError.of_file(name, "nesting deeper than can be read", "lists of fields") from None
    if problems:
        raise DefinitionError(name, problems)
    return Document(name, value, lines)


def _read_node(node: yaml.Node, path: Path, lines: dict[Path, int], problems: list[Problem], name: str) -> Value:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        if INVALID_CHARACTER.search(node.value):
            place = ".".join(map(str, path)) or "file"
            problems.append(Problem(name, lines[path], place, INVALID, VALID))
        return None if node.value in NULLS and node.style is None else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_read_node(child, (*path, index), lines, problems, name) for index, child in enumerate(node.value)]
    values = Fields(path)
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or INVALID_CHARACTER.search(key.value):
            fault = f"a list, an object or {INVALID} in the name of a field"
            problems.append(Problem(name, line, "file", fault, "a word"))
            continue
        word = str(key.value)
        if word in values:
            problems.append(Problem(name, line, word, "a second time in one object", "each field once"))
        lines[(*path, word)] = line
        values[word] = _read_node(child, (*path, word), lines, problems, name)
    return values


def _describe_error(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    problem = (error.problem or "text that is not YAML").replace("that cannot start any token", "")
    if problem == "mapping values are not allowed here":
        allowed = "a text with a colon in quotes, and the fields of an object in one column"
        return "a colon where none can stand", allowed
    return problem.removeprefix("found character ").replace("'\\t'", "a tab").strip(), "YAML with spaces, no anchors"
