"""A pattern without an end is named, in a trial and in the gate, and what it was to be tried on goes on without it."""

import json

import pandas as pd
import pytest

from engine.domain.model import OwnSuite
from engine.errors import DefinitionError
from expectations.gate import check_frames, make_parameters
from expectations.own_suites import check_own_suites
from expectations.patterns import find_endless_pattern

PLACE = "u22a8.test/expectations.json"
ENDLESS = r"^(\w+\s?)*$"
# Of the processor: enough for what ends, on any machine.
SECONDS = 0.5
ROWS = pd.DataFrame({"text": [f"{'a' * 40}!", "short", None], "quality": [1.0, 0.0, None]})


def make_suite(*patterns: str | list[str], column: str = "text") -> OwnSuite:
    items = [
        {
            "type": f"expect_column_values_to_not_match_regex{'' if isinstance(pattern, str) else '_list'}",
            "kwargs": {"column": column, "regex" if isinstance(pattern, str) else "regex_list": pattern},
            "severity": "warning",
            "meta": {},
        }
        for pattern in patterns
    ]
    return OwnSuite("house", PLACE, json.dumps({"name": "house", "expectations": items}))


@pytest.mark.parametrize(
    ("patterns", "place"),
    [
        ((ENDLESS,), "0.kwargs.regex"),
        (("a", ["b", r"(a+)+$"]), "1.kwargs.regex_list.1"),
        (("(", "a", r"^(a?){40}a{41}$"), "2.kwargs.regex"),
    ],
)
def test_pattern_without_an_end_is_named_by_its_place(patterns: tuple[str | list[str], ...], place: str) -> None:
    problem = find_endless_pattern(make_suite(*patterns), ROWS, SECONDS)

    assert problem is not None
    assert (PLACE, f"expectations.{place}") == (problem.file, problem.field)
    assert "which was not done with the texts after 0.5 s" in problem.found


@pytest.mark.parametrize(
    "suite",
    [make_suite(r"(?i)\bacme\b", ["a", "b"]), make_suite("("), make_suite(ENDLESS, column="nowhere"), make_suite()],
)
def test_what_ends_is_no_mistake(suite: OwnSuite) -> None:
    assert find_endless_pattern(suite, ROWS, SECONDS) is None


def test_trial_names_the_pattern_and_goes_on_with_the_next_suite() -> None:
    unknown = OwnSuite("b", "b.json", '{"name": "b", "expectations": [{"type": "expect_b", "kwargs": {}}]}')
    with pytest.raises(DefinitionError) as refusal:
        check_own_suites([make_suite(ENDLESS), unknown], SECONDS)
    endless, other = refusal.value.problems

    assert (PLACE, "expectations.0.kwargs.regex") == (endless.file, endless.field)
    assert ("b.json", "expectations.0.type") == (other.file, other.field)


def test_gate_fails_by_the_pattern_whatever_its_severity_and_says_what_to_do() -> None:
    suites = [make_suite(ENDLESS)]
    frames, parameters = {"run": ROWS, "whole": ROWS}, make_parameters([], 0, "run", [])
    verdict = check_frames(frames, parameters, suites, pattern_seconds=SECONDS)
    [said] = [sentence for sentence in verdict.failed if "'house'" in sentence]

    assert not verdict.success
    assert f"{PLACE}: expectations.0.kwargs.regex" in said
    assert "change the suite" in said
