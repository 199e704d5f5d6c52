"""What would keep an author's suite from being held against a run's rows is told before there are any."""

import json
import pickle
from typing import Any

import pandas as pd
import pytest

from engine.definitions.own_suites import PARAMETERS, parse_suite
from engine.domain.model import OwnSuite
from engine.errors import DefinitionError
from expectations.gate import make_parameters, run_suite
from expectations.own_suites import check_own_suites

PLACE = "data/expectations/house.json"


def make_suite(kind: str, name: str = "house", **kwargs: Any) -> OwnSuite:
    item = {"type": kind, "kwargs": kwargs, "severity": "critical", "meta": {}}
    return OwnSuite(name, PLACE, json.dumps({"name": name, "expectations": [item]}))


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_values_to_not_match_regex", {"column": "text", "regex": r"(?i)\bacme\b"}),
        ("expect_column_value_lengths_to_be_between", {"column": "text", "min_value": 10, "mostly": 0.9}),
        ("expect_column_max_to_be_between", {"column": "cost_usd", "max_value": 0.01}),
        ("expect_table_row_count_to_be_between", {"min_value": {"$PARAMETER": "row_floor"}}),
        ("expect_no_near_duplicates", {"members": "new", "min_jaccard": 0.5}),
        ("expect_compound_columns_to_be_unique", {"column_list": ["trait", "text"]}),
    ],
)
def test_suite_that_can_be_held_against_rows_has_no_mistake_whether_or_not_it_is_met(
    kind: str, kwargs: dict[str, Any]
) -> None:
    check_own_suites([make_suite(kind, **kwargs)])


NO_MATCH = "expect_column_values_to_not_match_regex"


@pytest.mark.parametrize(
    ("kind", "kwargs", "field", "said"),
    [
        ("expect_colum_values_to_not_match_regex", {}, ".type", f"Did you mean '{NO_MATCH}'?"),
        (NO_MATCH, {"column": "text"}, "", "regex field required"),
        (NO_MATCH, {"column": "text", "regex": "("}, "", "raised on rows made for trial"),
        (
            "expect_column_values_to_be_unique",
            {"column": "text", "regex": "a"},
            "",
            "regex extra fields not permitted",
        ),
        ("expect_column_value_lengths_to_be_between", {"column": "text", "mostly": 7}, "", "mostly ensure this value"),
        ("expect_column_mean_to_be_between", {"column": "text", "min_value": 1}, "", "raised on rows made for trial"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["trait", "txt"]}, "", "txt"),
    ],
)
def test_suite_that_cannot_be_held_against_rows_is_told_by_its_place(
    kind: str, kwargs: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(DefinitionError) as refusal:
        check_own_suites([make_suite(kind, **kwargs)])
    problem = refusal.value.problems[0]

    assert (PLACE, f"expectations.0{field}") == (problem.file, problem.field)
    assert said in str(problem)
    assert len(str(problem)) < 900


# A text that is no text of a condition could run something: each is compared, and finds itself alone.
HOSTILE = ("a\\", "it's", '"', "\\'", "@pd", "a\n@pd", "\u2028", "{0}", "$a", "Timestamp", "' or 1 #")


@pytest.mark.parametrize(("operator", "parameter", "found"), [("==", "' or 1 #", 1), ("IN", [*HOSTILE], len(HOSTILE))])
def test_text_of_a_condition_is_compared_as_it_is(operator: str, parameter: str | list[str], found: int) -> None:
    condition = {"type": "comparison", "column": {"name": "text"}, "operator": operator, "parameter": parameter}
    suite = make_suite("expect_table_row_count_to_equal", value=found, row_condition=condition)
    parse_suite(PLACE, suite.content.encode())

    assert run_suite(suite, pd.DataFrame({"text": [*HOSTILE, "other"]}), {}).results[0].success


def test_mistakes_of_all_suites_are_raised_together() -> None:
    with pytest.raises(DefinitionError, match=r"The author's expectations: 2 mistakes\.") as refusal:
        check_own_suites([make_suite("expect_a"), make_suite("expect_b", "other")])

    assert 2 == refusal.value.exit_code
    again = pickle.loads(pickle.dumps(refusal.value))
    assert (str(refusal.value), refusal.value.problems) == (str(again), again.problems)
    check_own_suites([])


def test_parameters_are_those_that_a_suite_may_name() -> None:
    assert PARAMETERS == tuple(make_parameters(["clarity"], 1, "run", []))
