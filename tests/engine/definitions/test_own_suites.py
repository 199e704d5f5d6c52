"""Suites of authors are read whole or refused with every mistake of form; where none are, nothing is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.definitions.own_suites import MODEL_SUITE, parse_suite, read_own_suites
from engine.domain.suites import GATE_SUITES, OwnSuite
from engine.errors import DefinitionError, InputError, Problem
from engine.settings import Settings
from engine.system.filesystem import replace_file

HANDLE = "u22a8.test"
PLACE = "data/expectations/house.json"
LENGTH: dict[str, Any] = {
    "type": "expect_column_value_lengths_to_be_between",
    "kwargs": {"column": "text", "max_value": 400},
}


def make_suite(name: str = "house", *expectations: dict[str, Any]) -> str:
    return json.dumps({"name": name, "expectations": expectations or [LENGTH]})


def parse(content: str | bytes) -> OwnSuite:
    return parse_suite(PLACE, content if isinstance(content, bytes) else content.encode())


def list_problems(content: str | bytes) -> list[tuple[str, str, str]]:
    with pytest.raises(DefinitionError) as refusal:
        parse(content)
    assert {PLACE} == {problem.file for problem in refusal.value.problems}
    return [(problem.field, problem.found, problem.allowed) for problem in refusal.value.problems]


def make_settings(folder: Path, **fields: str) -> Settings:
    return Settings(models_uri=str(folder / "models"), **fields)  # type: ignore[arg-type]


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_suite_has_what_the_file_says_and_the_severity_of_great_expectations() -> None:
    suite = parse(make_suite())

    assert ("house", PLACE) == (suite.name, suite.place)
    assert {"name": "house", "expectations": [{**LENGTH, "severity": "critical", "meta": {}}]} == json.loads(
        suite.content
    )


def test_what_great_expectations_writes_besides_is_passed_over() -> None:
    written = {
        "name": "house",
        "id": "6f1e3c9e-5f0f-4c39-8d1b-2f6a6a1e6c11",
        "meta": {"great_expectations_version": "1.24.1"},
        "notes": None,
        "expectations": [
            {**LENGTH, "id": "1", "notes": "n", "rendered_content": [], "severity": "critical", "meta": {}}
        ],
    }

    assert parse(make_suite()) == parse(json.dumps(written))


def test_digest_is_that_of_what_is_expected_not_of_the_layout() -> None:
    spaced = json.dumps(json.loads(make_suite()), indent=4, sort_keys=True)
    other = make_suite("house", {**LENGTH, "severity": "warning"})

    assert parse(make_suite()).sha256 == parse("\ufeff" + spaced).sha256
    assert parse(make_suite()).sha256 != parse(other).sha256


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ("file", "expecting value", "one object of JSON")),
        ("{", ("file", "expecting property name enclosed in double quotes", "one object of JSON")),
        (b"\xff", ("file", "a byte that is not UTF-8 at offset 0", "UTF-8 text")),
        *(
            (f"{'[' * depth}{']' * depth}", ("file", "nesting deeper than can be read", "one object of JSON"))
            for depth in (102, 2_000, 100_000)
        ),
        ("[]", ("file", "a list of 0", "an object of fields: name, expectations, id, meta, notes, suite_parameters")),
        ('{"expectations": []}', ("name", "nothing", "this field is required")),
        ('{"name": "a", "expectations": []}', ("expectations", "a list of 0", "at least one entry")),
        ('{"name": "a", "expectations": {}}', ("expectations", "an object", "a list of expectations")),
        ('{"name": "a", "expectations": [{}]}', ("expectations.0.type", "nothing", "this field is required")),
        ('{"name": "a", "expectations": ["x"]}', ("expectations.0", "'x'", None)),
        (
            make_suite("a", {**LENGTH, "severity": "fatal"}),
            ("expectations.0.severity", "'fatal'", "critical, warning or info"),
        ),
        (make_suite("a", {**LENGTH, "kwargs": []}), ("expectations.0.kwargs", "a list of 0", "an object of fields")),
        (make_suite("a", {**LENGTH, "severtiy": "info"}), ("expectations.0.severtiy", "'severtiy'", None)),
        (make_suite("a", {"expectation_type": "x"}), ("expectations.0.type", "nothing", "this field is required")),
        (make_suite("a", {**LENGTH, "meta": {"says": 3}}), ("expectations.0.meta.says", "3", "text")),
        (
            make_suite("a", {**LENGTH, "kwargs": {"column": "text", "severity": "info"}}),
            ("expectations.0.kwargs.severity", "'info'", "no severity here: it stands beside kwargs, as type does"),
        ),
        (make_suite("../a"), ("name", "'../a'", None)),
        (make_suite("a.b"), ("name", "'a.b'", None)),
        ('{"name": "a", "name": "b"}', ("file", "'name' a second time in one object", "each field once")),
        ('{"name": NaN}', ("file", "NaN, which JSON does not know", "one object of JSON")),
        ('{"name": "\\ud800"}', ("file", "half of a surrogate pair", "whole Unicode characters")),
        *((make_suite(name), ("name", repr(name), None)) for name in GATE_SUITES),
    ],
)
def test_file_that_is_no_suite_is_refused_with_its_mistake(
    content: str | bytes, expected: tuple[str, str | None, str | None]
) -> None:
    found = list_problems(content)

    assert any(all(want in (None, has) for want, has in zip(expected, problem, strict=True)) for problem in found), (
        found
    )


def test_all_mistakes_of_form_are_told_at_once() -> None:
    content = make_suite("house", {"type": 3}, {**LENGTH, "severity": "fatal"}, {"kwargs": {}})

    assert ["expectations.0.type", "expectations.1.severity", "expectations.2.type"] == [
        field for field, _, _ in list_problems(content)
    ]


def test_line_of_broken_json_is_named() -> None:
    with pytest.raises(DefinitionError) as refusal:
        parse('{"name": "a",\n "expectations": [}')

    assert [Problem(PLACE, 2, "file", "expecting value", "one object of JSON")] == list(refusal.value.problems)


def test_line_of_a_field_that_stands_twice_is_named() -> None:
    content = (
        '{"name": "{\\"a\\": [", "expectations": [\n'
        ' {"type": "x", "meta": {"type": 1}},\n'
        ' {"type": "x",\n'
        ' "t\\u0079pe": "y"}]}'
    )
    with pytest.raises(DefinitionError) as refusal:
        parse(content)

    assert [Problem(PLACE, 4, "file", "'type' a second time in one object", "each field once")] == list(
        refusal.value.problems
    )


def test_catalogues_suites_come_by_file_name_before_the_models_own(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / f"suites/{name}.json", make_suite(name))
    for name in (".hidden.json", "a.json.off", "README.md", "sub/c.json"):
        write(tmp_path / "suites" / name, "{")
    write(tmp_path / f"models/{HANDLE}/{MODEL_SUITE}", make_suite("own"))
    settings = make_settings(tmp_path, expectations_uri=str(tmp_path / "suites"))

    assert ["a", "b", "own"] == [suite.name for suite in read_own_suites(settings, HANDLE)]
    assert ["a", "b"] == [suite.name for suite in read_own_suites(settings, "u22a8.other")]


def test_folder_of_the_setting_must_be_there_and_the_default_need_not(tmp_path: Path) -> None:
    missing = make_settings(tmp_path, expectations_uri=str(tmp_path / "suites"))

    assert () == read_own_suites(make_settings(tmp_path), HANDLE)
    with pytest.raises(InputError, match=r"EXEMPLARS_EXPECTATIONS_URI is .*/suites, which is no folder"):
        read_own_suites(missing, HANDLE)


def test_two_suites_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "suites/a.json", make_suite("own"))
    write(tmp_path / f"models/{HANDLE}/{MODEL_SUITE}", make_suite("own"))

    with pytest.raises(
        InputError, match=rf"suites/a\.json and {HANDLE}/{MODEL_SUITE} are two suites of the name 'own'"
    ):
        read_own_suites(make_settings(tmp_path, expectations_uri=str(tmp_path / "suites")), HANDLE)


def test_link_out_of_the_models_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere.json", make_suite())
    folder = tmp_path / "models" / HANDLE
    folder.mkdir(parents=True)
    (folder / MODEL_SUITE).symlink_to(tmp_path / "elsewhere.json")

    with pytest.raises(DefinitionError, match="a link to elsewhere"):
        read_own_suites(make_settings(tmp_path), HANDLE)


def test_what_is_no_file_is_refused_and_never_passed_over(tmp_path: Path) -> None:
    suites, folder = tmp_path / "suites", tmp_path / "models" / HANDLE
    for place in (suites / "a.json", folder / MODEL_SUITE):
        place.parent.mkdir(parents=True)
        place.symlink_to(place.parent / "gone.json")
    for settings in (make_settings(tmp_path, expectations_uri=str(suites)), make_settings(tmp_path)):
        with pytest.raises(DefinitionError, match=r"json: file: found a folder, or a link to nothing; allowed: a file"):
            read_own_suites(settings, HANDLE)


def test_suites_of_an_object_store_are_read(s3_uri: str, tmp_path: Path) -> None:
    replace_file(f"{s3_uri}/suites/house.json", make_suite().encode())
    replace_file(f"{s3_uri}/models/{HANDLE}/{MODEL_SUITE}", make_suite("own").encode())
    settings = Settings(models_uri=f"{s3_uri}/models", expectations_uri=f"{s3_uri}/suites/")

    assert ["house", "own"] == [suite.name for suite in read_own_suites(settings, HANDLE)]
    assert ["house"] == [suite.name for suite in read_own_suites(settings, "u22a8.other")]
    with pytest.raises(InputError, match="which is no folder"):
        read_own_suites(make_settings(tmp_path, expectations_uri=f"{s3_uri}/nowhere"), HANDLE)
