"""What an author's expectation says is data: what could be evaluated, fetched or opened is refused as it is read."""

import json
from typing import Any

import pytest

from engine.definitions.own_suites import parse_suite
from engine.errors import DefinitionError, Problem

RUNS = "@pd.io.common.os.system('touch ran') == 0"
CODE = {"type": "pass_through", "pass_through_filter": RUNS}
TRAIT: dict[str, Any] = {"type": "comparison", "column": {"name": "trait"}, "operator": "==", "parameter": "warmth"}


def read(**kwargs: Any) -> None:
    written = {"name": "house", "expectations": [{"type": "expect_lengths", "kwargs": kwargs}]}
    parse_suite("house.json", json.dumps(written).encode())


def find(**kwargs: Any) -> Problem:
    with pytest.raises(DefinitionError) as refusal:
        read(**kwargs)
    [problem] = refusal.value.problems
    return problem


def test_argument_that_is_not_known_to_be_data_is_refused() -> None:
    near = {"max_valu": "max_value", "condition_parser": None, "result_format": None, "unexpected_rows_query": None}

    for name, suggestion in near.items():
        problem = find(**{name: "x"})
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
    assert f"expectations.0.kwargs.row_condition{field}" == find(column="text", row_condition=condition).field


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
    assert f"expectations.0.kwargs.{field}" == find(**kwargs).field


def test_data_is_read() -> None:
    for condition in (
        None,
        TRAIT | {"operator": "IN", "parameter": ["a", "\\", "'\"", "@pd"]},
        {"type": "nullity", "column": {"name": "pair_id"}, "is_null": False},
        {"type": "or", "conditions": [TRAIT, {"type": "and", "conditions": [TRAIT]}]},
    ):
        read(column="text", regex="a", row_condition=condition)
    read(min_value={"$PARAMETER": "row_floor"}, value_set={"$PARAMETER": "traits"})
