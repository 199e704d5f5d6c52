"""Copies the modules of the gate's expectations into a project, as a package that needs nothing else of ours.

They are copied as they are, so that there is one version of what an expectation means; only the names of the packages
in their imports change, and two compiled packages are stood in for.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import regex

from expectations.gx_project.stand_ins.regex import PATTERNS_FILE

PACKAGE = "exemplars_gate"
# What is imported when the project is opened.
OPENED = "expectations.gx_project.opened"
OURS = ("engine", "expectations")
# The folder that has our packages.
ROOT = Path(__file__).parents[2]
STAND_INS = "expectations.gx_project.stand_ins"
# The imports that are written otherwise: of modules of ours, and of the packages that are stood in for.
_REWRITTEN: tuple[tuple[str, str], ...] = (
    (rf"^from ({'|'.join(OURS)})\b", rf"from {PACKAGE}.\1"),
    (r"^import regex$", f"from {PACKAGE}.{STAND_INS} import regex"),
    (r"^from icu4py\.breakers import", f"from {PACKAGE}.{STAND_INS}.breakers import"),
)
# The parts of a pattern that ``regex`` and ``re`` read differently.
_UNICODE_PART = re.compile(r"\\p\{\w+\}|\\w|\\s")
_ANY_PART = re.compile(r"\\p\{\w+\}|\\.|.", re.DOTALL)


def copy_code(folder: Path) -> None:
    """Writes the package into a folder, which is then to be on Python's path."""
    modules = collect_modules(OPENED)
    for name, source in modules.items():
        _write(folder, PACKAGE if name == OPENED else f"{PACKAGE}.{name}", _rewrite(source), name == OPENED)
    for name in {parent for module in modules for parent in _list_parents(module)}:
        _write(folder, f"{PACKAGE}.{name}", _read_source(name), is_package=True)
    for name in (f"{STAND_INS}.regex", f"{STAND_INS}.breakers"):
        _write(folder, f"{PACKAGE}.{name}", _read_source(name))
    for name in (STAND_INS, *_list_parents(STAND_INS)):
        _write(folder, f"{PACKAGE}.{name}", _read_source(name), is_package=True)
    patterns = {pattern: write_out(pattern) for source in modules.values() for pattern in _list_patterns(source)}
    place = folder.joinpath(PACKAGE, *STAND_INS.split("."), PATTERNS_FILE)
    place.write_text(json.dumps(patterns, indent=1), encoding="utf-8")


def collect_modules(first: str) -> dict[str, str]:
    """Collects a module of ours and all others of ours that it imports, with their sources.

    What is imported for types alone is left out.
    """
    found: dict[str, str] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _read_source(name)
            waiting += [item for item in list_imports(found[name]) if item.split(".")[0] in OURS]
    return found


def list_imports(source: str) -> Iterator[str]:
    """Yields the names of the modules that a source imports when it is imported itself."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # ``from package import module`` as well as ``from module import name``.
            inside = [f"{node.module}.{item.name}" for item in node.names]
            modules = [name for name in inside if name.split(".")[0] in OURS and _find_file(name)]
            yield from modules or [node.module]


def write_out(pattern: str) -> str:
    """Writes a pattern of ``regex`` for Python's ``re``, with the characters of each Unicode property as ranges."""
    written, in_class = "", False
    for part in _ANY_PART.findall(pattern):
        if _UNICODE_PART.fullmatch(part):
            ranges = _list_ranges(part)
            written += ranges if in_class else f"[{ranges}]"
            continue
        in_class = part == "[" or (in_class and part != "]")
        written += part
    return written


@cache
def _list_ranges(part: str) -> str:
    """The characters that a part of a pattern of ``regex`` stands for, as the ranges of a class of ``re``."""
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    runs = (match.span() for match in regex.finditer(f"{part}+", every))
    return "".join(f"\\U{start:08x}-\\U{end - 1:08x}" for start, end in runs)


def _rewrite(source: str) -> str:
    for pattern, written in _REWRITTEN:
        source = re.sub(pattern, written, source, flags=re.MULTILINE)
    return source


def _list_patterns(source: str) -> Iterator[str]:
    """Yields the patterns that a source compiles with ``regex``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "regex.compile":
            pattern = ast.literal_eval(node.args[0])
            assert isinstance(pattern, str)
            yield pattern


def _list_parents(module: str) -> list[str]:
    parts = module.split(".")[:-1]
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _read_source(module: str) -> str:
    file = _find_file(module)
    assert file is not None
    return file.read_text(encoding="utf-8")


def _find_file(module: str) -> Path | None:
    """The source file of a module of ours, which is not imported for it; None for a name that is no module."""
    place = ROOT.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _write(folder: Path, module: str, source: str, is_package: bool = False) -> None:
    parts = module.split(".")
    place = folder.joinpath(*parts, "__init__.py") if is_package else folder.joinpath(*parts[:-1], f"{parts[-1]}.py")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(source, encoding="utf-8")
