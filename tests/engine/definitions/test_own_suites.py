"""Suites of authors are read whole or refused with every mistake of form; where none are, nothing is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.definitions.own_suites import MAX_BYTES, MODEL_SUITE, parse_suite, read_own_suites
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


def list_problems(content: str | bytes) -> list[Problem]:
    with pytest.raises(DefinitionError) as refusal:
        parse(content)
    return [*refusal.value.problems]


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


def test_digest_is_that_of_what_is_expected_not_of_the_layout_or_of_what_great_expectations_writes_besides() -> None:
    besides = {"id": "1", "notes": "n", "rendered_content": [], "severity": "critical", "meta": {}}
    written = {
        "name": "house",
        "id": "6f1e3c9e-5f0f-4c39-8d1b-2f6a6a1e6c11",
        "meta": {"great_expectations_version": "1.24.1"},
        "notes": None,
        "expectations": [LENGTH | besides],
    }

    assert parse(make_suite()).sha256 == parse("\ufeff" + json.dumps(written, indent=4, sort_keys=True)).sha256
    assert parse(make_suite()).sha256 != parse(make_suite("house", {**LENGTH, "severity": "warning"})).sha256
    assert parse(make_suite()).sha256 != parse(make_suite("house", {**LENGTH, "description": "Short."})).sha256


NO_JSON = "one object of JSON"
TWICE = """{"name": "{\\"a\\": [", "expectations": [
 {"type": "x", "meta": {"type": 1}},
 {"type": "x",
 "t\\u0079pe": "y"}]}"""


@pytest.mark.parametrize(
    ("content", "line", "field", "found", "allowed"),
    [
        ("", 1, "file", "expecting value", NO_JSON),
        ('{"name": "a",\n "expectations": [}', 2, "file", "expecting value", NO_JSON),
        (b"\xff", None, "file", "a byte that is not UTF-8 at offset 0", "UTF-8 text"),
        ("[]".rjust(MAX_BYTES + 1), None, "file", "1,048,577 bytes", "1,048,576 bytes at most"),
        (f"{'[' * 101}{']' * 101}", None, "file", "a list of 1", None),
        (f"{'[' * 102}{']' * 102}", None, "file", "nesting deeper than can be read", NO_JSON),
        (f"{'[' * 100_000}{']' * 100_000}", None, "file", "nesting deeper than can be read", NO_JSON),
        ("[]", None, "file", "a list of 0", None),
        ('{"name": "a", "expectations": []}', None, "expectations", "a list of 0", "at least one entry"),
        ('{"name": "a", "expectations": {}}', None, "expectations", "an object", "a list of expectations"),
        ('{"name": "a", "expectations": ["x"]}', None, "expectations.0", "'x'", None),
        (make_suite("a", {**LENGTH, "kwargs": []}), None, "expectations.0.kwargs", "a list of 0", None),
        (make_suite("a", {**LENGTH, "severtiy": "info"}), None, "expectations.0.severtiy", "'severtiy'", None),
        (make_suite("a", {**LENGTH, "meta": {"says": 3}}), None, "expectations.0.meta.says", "3", "text"),
        (
            make_suite("a", {**LENGTH, "kwargs": {"column": "text", "severity": "info"}}),
            None,
            "expectations.0.kwargs.severity",
            "'info'",
            "no severity here: it stands beside kwargs, as type does",
        ),
        (make_suite("../a"), None, "name", "'../a'", None),
        (make_suite("a.b"), None, "name", "'a.b'", None),
        (TWICE, 4, "file", "'type' a second time in one object", "each field once"),
        ('{"name": NaN}', None, "file", "NaN, which JSON does not know", NO_JSON),
        ('{"name": "\\ud800"}', None, "file", "half of a surrogate pair", "whole Unicode characters"),
        *((make_suite(name), None, "name", repr(name), None) for name in GATE_SUITES),
    ],
)
def test_file_that_is_no_suite_is_refused_with_its_mistake(
    content: str | bytes, line: int | None, field: str, found: str, allowed: str | None
) -> None:
    [problem] = list_problems(content)

    assert (PLACE, line, field, found) == (problem.file, problem.line, problem.field, problem.found)
    assert allowed in (None, problem.allowed)


def test_all_mistakes_of_form_are_told_at_once() -> None:
    content = json.dumps(
        {"expectations": [{"type": 3}, {**LENGTH, "severity": "fatal"}, {"kwargs": {}}, {"expectation_type": "x"}]}
    )

    assert [
        ("expectations.3.expectation_type", "'expectation_type'"),
        ("name", "nothing"),
        ("expectations.0.type", "3"),
        ("expectations.1.severity", "'fatal'"),
        ("expectations.2.type", "nothing"),
        ("expectations.3.type", "nothing"),
    ] == [(problem.field, problem.found) for problem in list_problems(content)]


def test_catalogues_suites_come_by_file_name_before_the_models_own(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / f"suites/{name}.json", make_suite(name))
    for name in (".hidden.json", "a.json.off", "README.md", "sub/c.json"):
        write(tmp_path / "suites" / name, "{")
    write(tmp_path / f"models/{HANDLE}/{MODEL_SUITE}", make_suite("own"))
    settings = make_settings(tmp_path, expectations_uri=str(tmp_path / "suites"))

    assert ["a", "b", "own"] == [suite.name for suite in read_own_suites(settings, HANDLE)]
    assert ["a", "b"] == [suite.name for suite in read_own_suites(settings, "u22a8.other")]
    write(tmp_path / "suites/c.json", make_suite("own"))
    with pytest.raises(
        InputError, match=rf"suites/c\.json and {HANDLE}/{MODEL_SUITE} are two suites of the name 'own'"
    ):
        read_own_suites(settings, HANDLE)


def test_folder_of_the_setting_must_be_there_and_the_default_need_not(tmp_path: Path) -> None:
    missing = make_settings(tmp_path, expectations_uri=str(tmp_path / "suites"))

    assert () == read_own_suites(make_settings(tmp_path), HANDLE)
    with pytest.raises(InputError, match=r"EXEMPLARS_EXPECTATIONS_URI is .*/suites, which is no folder"):
        read_own_suites(missing, HANDLE)


def test_what_is_no_file_of_the_folder_is_refused_and_never_passed_over(tmp_path: Path) -> None:
    suites, own = tmp_path / "suites" / "a.json", tmp_path / "models" / HANDLE / MODEL_SUITE
    write(tmp_path / "elsewhere.json", make_suite())
    for place in (suites, own):
        place.parent.mkdir(parents=True)
        place.symlink_to(place.parent / "gone.json")
    for settings in (make_settings(tmp_path, expectations_uri=str(suites.parent)), make_settings(tmp_path)):
        with pytest.raises(DefinitionError, match=r"json: file: found a folder, or a link to nothing; allowed: a file"):
            read_own_suites(settings, HANDLE)
    own.unlink()
    own.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(DefinitionError, match="a link to elsewhere"):
        read_own_suites(make_settings(tmp_path), HANDLE)


def test_suites_of_an_object_store_are_read(s3_uri: str, tmp_path: Path) -> None:
    replace_file(f"{s3_uri}/suites/house.json", make_suite().encode())
    replace_file(f"{s3_uri}/models/{HANDLE}/{MODEL_SUITE}", make_suite("own").encode())
    settings = Settings(models_uri=f"{s3_uri}/models", expectations_uri=f"{s3_uri}/suites/")

    assert ["house", "own"] == [suite.name for suite in read_own_suites(settings, HANDLE)]
    assert ["house"] == [suite.name for suite in read_own_suites(settings, "u22a8.other")]
    with pytest.raises(InputError, match="which is no folder"):
        read_own_suites(make_settings(tmp_path, expectations_uri=f"{s3_uri}/nowhere"), HANDLE)
