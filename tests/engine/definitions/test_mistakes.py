"""Mistakes of form come all at once, in plain words and few of them, whatever a file holds."""

from typing import ClassVar

import pytest

from engine.definitions.mistakes import Entry, find_near_spelling, format_names, format_value, validate_document
from engine.definitions.yaml_document import parse_yaml
from engine.domain.model import Skipped
from engine.errors import DefinitionError, Problem


class Shelf(Entry):
    """An object of the tests."""

    books: int
    papers: int = 0


class Box(Entry):
    """One in which every field must be known."""

    closed: ClassVar[bool] = True
    shelf: Shelf
    others: tuple[Shelf, ...] = ()


def find_problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        validate_document(parse_yaml("box.yaml", text.encode()), Box)
    return caught.value.problems


def test_unknown_field_of_an_open_object_is_skipped_and_one_of_a_closed_object_a_mistake() -> None:
    shelf, findings = validate_document(parse_yaml("shelf.yaml", b"books: 3\nlamps: 2\n"), Shelf)

    assert 3 == shelf.books
    assert [Skipped("field 'lamps' (shelf.yaml:2)", "not a field that is read here")] == findings.skipped
    assert (Problem("box.yaml", 2, "lamps", "'lamps'", "one of shelf, others"),) == find_problems(
        "shelf: {books: 1}\nlamps: 2\n"
    )


def test_near_spelling_is_found_in_any_case_among_few_choices() -> None:
    many = [f"key-{number}" for number in range(199)]

    assert "Books" == find_near_spelling("BOKS", ("Books", "papers"))
    assert find_near_spelling("lamp", ("books", "papers")) is None
    assert "books" == find_near_spelling("boks", (*many, "books"))
    assert find_near_spelling("boks", (*many, "books", "papers")) is None


def test_what_is_quoted_is_short() -> None:
    values: list[object] = [78 * "a", 79 * "a", 9 * ["a"], {}, None]

    assert [f"'{78 * 'a'}'", f"'{78 * 'a'}…", "a list of 9", "an object", "nothing"] == list(map(format_value, values))
    assert (300 * "a", 299 * "a" + "…") == (format_names([300 * "a"]), format_names([301 * "a"]))
