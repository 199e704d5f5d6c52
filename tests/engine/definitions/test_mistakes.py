"""Mistakes of form come all at once, in plain words and few of them, whatever a file holds."""

from engine.definitions.mistakes import find_near_spelling, format_names, format_value


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
