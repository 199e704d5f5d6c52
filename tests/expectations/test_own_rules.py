"""The author's rules of rows: which expectations are some, what they reject, and that no other row has a say."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from fakes.builders import make_exemplar, make_model, make_stamp, make_test_plan

from engine.definitions.row_rules import ROW_TYPES, describe_rules, is_row_rule
from engine.domain.model import POLES, OwnSuite
from engine.domain.samples import Exemplar
from engine.errors import InputError
from engine.system.worker_process import run_here
from expectations.own_suites import TRIAL_TEXTS, check_own_suites, find_broken, make_own_rules

pytestmark = pytest.mark.xdist_group("great-expectations")
FORBIDDEN: dict[str, Any] = {"column": "text", "regex": "(?i)the"}
ONLY_NEGATIVE = {"type": "comparison", "column": {"name": "pole"}, "operator": "==", "parameter": "negative"}
# Of each type arguments with which some of the trial's texts break it, and some do not.
ARGUMENTS: Mapping[str, dict[str, Any]] = {
    "expect_column_value_lengths_to_be_between": {"column": "text", "max_value": 55},
    "expect_column_value_lengths_to_equal": {"column": "text", "value": len(TRIAL_TEXTS[0])},
    "expect_column_values_to_be_between": {"column": "quality", "max_value": 0.5},
    "expect_column_values_to_be_dateutil_parseable": {"column": "text"},
    "expect_column_values_to_be_in_set": {"column": "pole", "value_set": ["positive"]},
    "expect_column_values_to_not_be_in_set": {"column": "text", "value_set": [TRIAL_TEXTS[2]]},
    "expect_column_values_to_be_json_parseable": {"column": "text"},
    "expect_column_values_to_match_strftime_format": {"column": "text", "strftime_format": "%Y"},
    "expect_column_values_to_be_null": {"column": "seed_sha256"},
    "expect_column_values_to_not_be_null": {"column": "seed_sha256"},
    "expect_column_values_to_match_regex": FORBIDDEN,
    "expect_column_values_to_match_regex_list": {"column": "text", "regex_list": ["^The", "^You"]},
    "expect_column_values_to_not_match_regex": FORBIDDEN | {"row_condition": ONLY_NEGATIVE},
    "expect_column_values_to_not_match_regex_list": {"column": "text", "regex_list": ["^The", "^You"]},
    "expect_column_pair_values_a_to_be_greater_than_b": {"column_A": "attempt", "column_B": "quality"},
    "expect_column_pair_values_to_be_equal": {"column_A": "attempt", "column_B": "quality"},
    "expect_column_pair_values_to_be_in_set": {
        "column_A": "pole",
        "column_B": "quality",
        "value_pairs_set": [["positive", 1.0]],
    },
    "expect_multicolumn_sum_to_equal": {"column_list": ["attempt", "quality"], "sum_total": 2},
    "expect_multicolumn_values_to_be_equal": {"column_list": ["attempt", "quality"]},
    "expect_select_column_values_to_be_unique_within_record": {"column_list": ["attempt", "quality"]},
}


def make_suite(*expectations: Mapping[str, Any]) -> OwnSuite:
    items = [{"severity": "critical", "meta": {}, **item} for item in expectations]
    return OwnSuite("house", "house.json", json.dumps({"name": "house", "expectations": items}))


def make_candidates() -> list[Exemplar]:
    """The trial's texts and a year, at alternating poles, every third the variation of a seed."""
    return [
        replace(make_exemplar(text, POLES[number % 2], number), seed_sha256=None if number % 3 else "0" * 64)
        for number, text in enumerate((*TRIAL_TEXTS, "2026"))
    ]


@pytest.mark.parametrize("kind", sorted(ROW_TYPES))
def test_other_rows_change_nothing_of_what_a_rule_rejects(kind: str) -> None:
    suite, stamp, candidates = make_suite({"type": kind, "kwargs": ARGUMENTS[kind]}), make_stamp(), make_candidates()
    check_own_suites([suite])
    shuffled = random.Random(3).sample(candidates, len(candidates))
    half = len(candidates) // 2

    broken = find_broken([suite], candidates, stamp)
    assert broken == find_broken([suite], shuffled, stamp)
    assert broken == find_broken([suite], shuffled[:half], stamp) | find_broken([suite], shuffled[half:], stamp)
    assert 0 < len(broken) < len(candidates)


@pytest.mark.parametrize(
    "changed",
    [
        {"severity": "warning"},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "text"}},
        {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 8}},
        {"kwargs": FORBIDDEN | {"mostly": 0.9}},
        {"kwargs": FORBIDDEN | {"column": "pair_id"}},
        {"kwargs": FORBIDDEN | {"regex": {"$PARAMETER": "wanted"}}},
        {"kwargs": FORBIDDEN | {"row_condition": ONLY_NEGATIVE | {"column": {"name": "run_id"}}}},
        {
            "kwargs": FORBIDDEN
            | {"row_condition": {"type": "and", "conditions": [ONLY_NEGATIVE | {"column": {"name": "created_at"}}]}}
        },
    ],
)
def test_what_judges_the_set_or_is_not_known_of_a_candidate_is_no_rule_of_rows(changed: dict[str, Any]) -> None:
    rule = {"type": "expect_column_values_to_not_match_regex", "kwargs": FORBIDDEN, "severity": "critical"}

    assert is_row_rule(rule)
    assert not is_row_rule(rule | changed)


def test_first_rule_that_a_text_breaks_is_named_with_suite_clause_and_type() -> None:
    kind = "expect_column_values_to_not_match_regex"
    named = {"type": kind, "kwargs": FORBIDDEN, "meta": {"says": "no text says the"}}
    suite = make_suite(
        named, {"type": "expect_column_value_lengths_to_be_between", "kwargs": {"column": "text", "max_value": 45}}
    )
    broken = find_broken([suite], make_candidates(), make_stamp())

    assert [f"house: no text says the ({kind})"] * 7 == [item for item in broken.values() if "says the" in item]
    assert "house: expect_column_value_lengths_to_be_between holds (column text, max_value 45)" in {*broken.values()}
    assert [(True, "no text says the"), (True, "expect_column_value_lengths_to_be_between")] == [
        (rule.rejects, rule.says) for rule in describe_rules([suite])
    ]


async def test_only_candidates_that_passed_everything_else_are_held_against_the_rules() -> None:
    unique = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "pole"}}
    rule = make_suite(unique, {"type": "expect_column_values_to_not_match_regex", "kwargs": FORBIDDEN})
    plan = make_test_plan(replace(make_model(), own_suites=(rule,)))
    fine, short, broken = (
        make_exemplar(text, index=index) for index, text in enumerate(("Press it.", "the", "The end."))
    )
    short = replace(short, reason="too_short")
    *left, rejected = await make_own_rules(plan, run_here)([fine, short, broken])

    assert [fine, short] == left
    assert ("own_rule", True) == (rejected.reason, rejected.detail.startswith("house: "))


def test_rule_that_cannot_be_run_ends_the_run() -> None:
    endless = make_suite(
        {"type": "expect_column_values_to_match_regex", "kwargs": FORBIDDEN | {"regex": "^(\\w+\\s?)*$"}}
    )
    raises = make_suite({"type": "expect_column_values_to_match_regex", "kwargs": FORBIDDEN | {"regex": "("}})

    with pytest.raises(InputError, match=r"'house' was not run on the candidates: .* not done"):
        find_broken([endless], make_candidates(), make_stamp(), seconds=0.5)
    with pytest.raises(InputError, match="raised"):
        find_broken([raises], make_candidates(), make_stamp())
