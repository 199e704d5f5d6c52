"""Decide which authored expectations check each row alone: such a rule rejects a row, which is then requested again.

All other expectations judge a whole set, at the gate. The gate checks the rules for rows too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.domain.model import OwnSuite

# Expectations that check each row independently of other rows, according to the source code of Great Expectations 1.24
# (tests/expectations/test_own_rules.py shuffles and halves the rows).
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
# Columns with values that are known only after the row is chosen or the run ends.
LATER_COLUMNS = ("run_id", "pair_id", "judge_votes", "cost_usd", "created_at")


@dataclass(frozen=True, slots=True)
class Rule:
    """A readable authored expectation. ``rejects`` is true if it rejects single texts, false if it judges the set."""

    suite: str
    says: str
    rejects: bool

    def __str__(self) -> str:
        effect = "rejects each text that breaks it" if self.rejects else "judges the whole set"
        return f"{self.suite}: {self.says} ({effect})"


def describe_rules(suites: Sequence[OwnSuite]) -> tuple[Rule, ...]:
    """Describe the expectations of suites, in their order."""
    return tuple(
        Rule(suite.name, item["meta"].get("says") or item.get("description") or item["type"], is_row_rule(item))
        for suite in suites
        for item in suite.expectations
    )


def is_row_rule(expectation: Mapping[str, Any]) -> bool:
    """Return whether an expectation can reject single candidates: critical, in ``ROW_TYPES``, and for every row.

    An expectation that names one of ``LATER_COLUMNS`` or a parameter is checked at the gate only.
    """
    arguments = expectation["kwargs"]
    arguments_json = json.dumps(arguments)
    return (
        expectation["type"] in ROW_TYPES
        and expectation["severity"] == "critical"
        and arguments.get("mostly") in (None, 1)
        and not any(json.dumps(name) in arguments_json for name in ("$PARAMETER", *LATER_COLUMNS))
    )
