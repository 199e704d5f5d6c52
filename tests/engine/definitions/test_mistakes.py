"""Mistakes of form come all at once, in plain words and few of them, whatever a file holds."""

from engine.definitions.mistakes import find_near_spelling


def test_near_spelling_is_found_in_any_case_among_few_choices() -> None:
    many = [f"key-{number}" for number in range(199)]

    assert "Books" == find_near_spelling("BOKS", ("Books", "papers"))
    assert find_near_spelling("lamp", ("books", "papers")) is None
    assert "books" == find_near_spelling("boks", (*many, "books"))
    assert find_near_spelling("boks", (*many, "books", "papers")) is None
