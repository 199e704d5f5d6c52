"""Suites of authors are read whole or refused with every mistake; what could be evaluated or opened is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.definitions.own_suites import MODEL_SUITE, parse_suite, read_own_suites
from engine.definitions.yaml_document import MAX_BYTES
from engine.domain.model import OwnSuite
from engine.domain.verdict import GATE_SUITES
from engine.errors import DefinitionError, InputError, Problem
from engine.settings import Settings

HANDLE = "u22a8.test"
PLACE = "data/expectations/house.json"
LENGTH: dict[str, Any] = {
    "type": "expect_column_value_lengths_to_be_between",
    "kwargs": {"column": "text", "max_value": 400},
}
RUNS = "@pd.io.common.os.system('touch ran') == 0"
CODE = {"type": "pass_through", "pass_through_filter": RUNS}
TRAIT: dict[str, Any] = {"type": "comparison", "column": {"name": "trait"}, "operator": "==", "parameter": "warmth"}


def make_suite(name: str = "house", *expectations: dict[str, Any]) -> str:
    return json.dumps({"name": name, "expectations": expectations or [LENGTH]})


def parse(content: str) -> OwnSuite:
    return parse_suite(PLACE, content.encode())


def list_problems(content: str) -> list[Problem]:
    with pytest.raises(DefinitionError) as refusal:
        parse_suite(PLACE, content.encode("utf-8", "surrogateescape"))
    return [*refusal.value.problems]


def find_mistake(**kwargs: Any) -> Problem:
    [problem] = list_problems(make_suite("house", {"type": "expect_lengths", "kwargs": kwargs}))
    return problem


def make_settings(folder: Path, **fields: str) -> Settings:
    return Settings(models_uri=str(folder / "models"), **fields)  # type: ignore[arg-type]


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_digest_is_that_of_what_is_expected_not_of_the_layout_or_of_what_great_expectations_writes_besides() -> None:
    expected = LENGTH | {"severity": "critical", "meta": {}}
    besides = {"id": "1", "notes": "n", "rendered_content": []}
    written: dict[str, Any] = {"name": "house", "id": "6f1e", "meta": {"version": "1.24.1"}, "notes": None}
    written["expectations"] = [expected | besides]
    suite, again = parse(make_suite()), parse("\ufeff" + json.dumps(written, indent=4, sort_keys=True))

    assert ("house", PLACE, again.sha256) == (suite.name, suite.place, suite.sha256)
    assert {"name": "house", "expectations": [expected]} == json.loads(suite.content)
    for changed in ({"severity": "warning"}, {"description": "Short."}):
        assert suite.sha256 != parse(make_suite("house", LENGTH | changed)).sha256


@pytest.mark.parametrize(
    ("content", "line", "field", "found"),
    [
        ('{"name": "a",\n "expectations": [}', 2, "file", "Expecting value: line 2"),
        ("\udcff", None, "file", "'utf-8' codec can't decode"),
        ("[]".rjust(MAX_BYTES + 1), None, "file", "1,048,577 bytes"),
        ('{"name": "a", "expectations": []}', None, "expectations", "a list of 0"),
        (make_suite("a", {**LENGTH, "severtiy": "info"}), None, "expectations.0.severtiy", "'severtiy'"),
        (make_suite("a", {**LENGTH, "kwargs": {"severity": "info"}}), None, "expectations.0.kwargs.severity", "'info'"),
        *((make_suite(name), None, "name", repr(name)) for name in GATE_SUITES),
    ],
)
def test_file_that_is_no_suite_is_refused(content: str, line: int | None, field: str, found: str) -> None:
    [problem] = list_problems(content)

    assert (PLACE, line, field) == (problem.file, problem.line, problem.field)
    assert problem.found.startswith(found)


def test_catalogues_suites_come_by_file_name_before_the_models_own(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / f"suites/{name}.json", make_suite(name))
    for name in (".hidden.json", "a.json.off", "sub/c.json"):
        write(tmp_path / "suites" / name, "{")
    write(tmp_path / f"models/{HANDLE}/{MODEL_SUITE}", make_suite("own"))
    settings = make_settings(tmp_path, expectations_uri=str(tmp_path / "suites"))

    assert ["a", "b", "own"] == [suite.name for suite in read_own_suites(settings, HANDLE)]
    assert ["a", "b"] == [suite.name for suite in read_own_suites(settings, "u22a8.other")]
    write(tmp_path / "suites/c.json", make_suite("own"))
    with pytest.raises(InputError, match=rf"suites/c\.json and {HANDLE}/{MODEL_SUITE} are .* of the name 'own'"):
        read_own_suites(settings, HANDLE)


def test_folder_of_the_setting_must_be_there_and_the_default_need_not(tmp_path: Path) -> None:
    assert () == read_own_suites(make_settings(tmp_path), HANDLE)
    with pytest.raises(InputError, match=r"EXEMPLARS_EXPECTATIONS_URI is .*/suites, which is no folder"):
        read_own_suites(make_settings(tmp_path, expectations_uri=str(tmp_path / "suites")), HANDLE)


def test_what_is_no_file_of_the_folder_is_refused_and_never_passed_over(tmp_path: Path) -> None:
    own = tmp_path / "models" / HANDLE / MODEL_SUITE
    write(tmp_path / "elsewhere.json", make_suite())
    own.parent.mkdir(parents=True)
    for target, found in (("gone.json", "a folder, or a link to nothing"), ("../../elsewhere.json", "a link to else")):
        own.unlink(missing_ok=True)
        own.symlink_to(target)
        with pytest.raises(DefinitionError, match=found):
            read_own_suites(make_settings(tmp_path), HANDLE)


def test_argument_that_is_not_known_to_be_data_is_refused() -> None:
    near = {"max_valu": "max_value", "condition_parser": None, "result_format": None, "unexpected_rows_query": None}

    for name, suggestion in near.items():
        problem = find_mistake(**{name: "x"})
        assert (f"expectations.0.kwargs.{name}", suggestion) == (problem.field, problem.suggestion)
        assert "an argument that evaluates, fetches and opens nothing" in problem.allowed


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        (RUNS, ""),
        ([TRAIT], ""),
        ({"$PARAMETER": "traits"}, ""),
        (TRAIT | {"pass_through_filter": RUNS}, ""),
        ({"type": "and", "conditions": [TRAIT, CODE]}, ".conditions.1"),
        ({"type": "or", "conditions": RUNS}, ".conditions"),
        (TRAIT | {"column": {"name": f"trait` == 1 or {RUNS} or `trait"}}, ".column.name"),
        (TRAIT | {"column": "trait"}, ".column"),
        ({"type": "nullity", "is_null": True, "column": {"name": ["trait"]}}, ".column.name"),
        (TRAIT | {"operator": f"== 1 or {RUNS} or 1 =="}, ".operator"),
        (TRAIT | {"operator": "NOT_IN"}, ".parameter"),
        (TRAIT | {"parameter": {"type": "pass_through"}}, ".parameter"),
        (TRAIT | {"parameter": None}, ".parameter"),
        # With a text "a\\" before it, pandas reads what follows the two backticks as code.
        (TRAIT | {"operator": "IN", "parameter": ["a\\", f"it's `` ] or {RUNS} #"]}, ".parameter"),
    ],
)
def test_condition_that_could_be_code_is_refused(condition: object, field: str) -> None:
    assert f"expectations.0.kwargs.row_condition{field}" == find_mistake(column="text", row_condition=condition).field


@pytest.mark.parametrize(
    ("kwargs", "field"),
    [
        ({"column": "txt"}, "column"),
        ({"column": "text", "regex_list": ["a", "\bDear\b"]}, "regex_list"),
        ({"column_A": "text", "column_B": ["text"]}, "column_B"),
        ({"min_value": {"$PARAMETER": "rows"}}, "min_value"),
        ({"min_value": {"$PARAMETER": "traits", "$PARAMETER.traits": 3}}, "min_value"),
        ({"value_set": ["a", {"$PARAMETER": "1+1"}]}, "value_set.1"),
    ],
)
def test_column_parameter_or_pattern_that_cannot_be_meant_is_refused(kwargs: dict[str, Any], field: str) -> None:
    assert f"expectations.0.kwargs.{field}" == find_mistake(**kwargs).field


def test_data_is_read() -> None:
    for condition in (
        None,
        TRAIT | {"operator": "IN", "parameter": ["a", "\\", "'\"", "@pd"]},
        {"type": "nullity", "column": {"name": "pair_id"}, "is_null": False},
        {"type": "or", "conditions": [TRAIT, {"type": "and", "conditions": [TRAIT]}]},
    ):
        kwargs = {"column": "text", "regex": "a", "row_condition": condition}
        kwargs |= {"min_value": {"$PARAMETER": "row_floor"}, "value_set": {"$PARAMETER": "traits"}}
        parse(make_suite("house", {"type": "expect_lengths", "kwargs": kwargs}))
