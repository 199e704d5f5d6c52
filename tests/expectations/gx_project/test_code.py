"""What a project brings of our code needs nothing else of ours, and reads Unicode as the gate does."""

import inspect
import re
import sys

import regex

from engine.domain import folding
from engine.text import words
from expectations.gx_project.code import OPENED, OURS, collect_modules, list_imports, write_out

# What a project may ask for, and what is stood in for.
INSTALLED, STOOD_IN = {"great_expectations", "numpy", "pandas"}, {"regex", "icu4py"}


def test_copied_modules_need_nothing_that_is_not_there() -> None:
    modules = collect_modules(OPENED)
    needed = {name.split(".")[0] for source in modules.values() for name in list_imports(source)}

    assert needed <= INSTALLED | STOOD_IN | set(OURS) | sys.stdlib_module_names
    assert len(modules) <= 12


def test_patterns_that_are_written_out_find_the_same_characters() -> None:
    every = "".join(map(chr, (*range(0x3000), *range(0x3000, 0x110000, 97))))
    source = inspect.getsource(folding) + inspect.getsource(words)
    patterns = re.findall(r'regex\.compile\(r"(.*)"\)', source)

    assert 7 == len(patterns)
    for pattern in (item.replace(r"\"", '"') for item in patterns):
        found, expected = re.compile(write_out(pattern)), regex.compile(pattern)
        assert [match.span() for match in expected.finditer(every)] == [match.span() for match in found.finditer(every)]
        assert expected.pattern == pattern
