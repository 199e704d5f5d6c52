"""Tell which expectations of an author look at each row alone: such a rule rejects a row, which is asked for again.

All others judge a set as a whole, at the gate. There the rules of rows hold too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.domain.model import OwnSuite

# Read in the source of Great Expectations 1.24: what each of these says of a row does not change with the other rows
# (tests/expectations/test_own_rules.py shuffles and halves them).
ROW_TYPES = frozenset(
    (
        *"expect_column_value_lengths_to_be_between expect_column_value_lengths_to_equal".split(),
        *"expect_column_values_to_be_between expect_column_values_to_be_dateutil_parseable".split(),
        *"expect_column_values_to_be_in_set expect_column_values_to_not_be_in_set".split(),
        *"expect_column_values_to_be_json_parseable expect_column_values_to_match_strftime_format".split(),
        *"expect_column_values_to_be_null expect_column_values_to_not_be_null".split(),
        *"expect_column_values_to_match_regex expect_column_values_to_match_regex_list".split(),
        *"expect_column_values_to_not_match_regex expect_column_values_to_not_match_regex_list".split(),
        *"expect_column_pair_values_a_to_be_greater_than_b expect_column_pair_values_to_be_equal".split(),
        *"expect_column_pair_values_to_be_in_set expect_multicolumn_sum_to_equal".split(),
        *"expect_multicolumn_values_to_be_equal expect_select_column_values_to_be_unique_within_record".split(),
    )
)
# What is known of a row only once it is chosen, or once the run ends.
LATER_COLUMNS = ("run_id", "pair_id", "judge_votes", "cost_usd", "created_at")


@dataclass(frozen=True, slots=True)
class Rule:
    """An expectation of an author's suite in words, and whether it rejects single texts or judges the whole set."""

    suite: str
    says: str
    rejects: bool

    def __str__(self) -> str:
        does = "rejects each text that breaks it" if self.rejects else "judges the whole set"
        return f"{self.suite}: {self.says} ({does})"


def describe_rules(suites: Sequence[OwnSuite]) -> tuple[Rule, ...]:
    """Describe the expectations of suites, in their order."""
    return tuple(
        Rule(suite.name, item["meta"].get("says") or item.get("description") or item["type"], is_row_rule(item))
        for suite in suites
        for item in suite.expectations
    )


def is_row_rule(expectation: Mapping[str, Any]) -> bool:
    """Whether an expectation can reject single candidates: a critical one of ``ROW_TYPES`` that holds for every row.

    One with a value that is the name of one of ``LATER_COLUMNS`` is left to the gate too.
    """
    arguments = expectation["kwargs"]
    said = json.dumps(arguments)
    return (
        expectation["type"] in ROW_TYPES
        and expectation["severity"] == "critical"
        and arguments.get("mostly") in (None, 1)
        and not any(json.dumps(name) in said for name in ("$PARAMETER", *LATER_COLUMNS))
    )
