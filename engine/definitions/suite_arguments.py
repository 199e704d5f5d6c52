"""Checks that an author's expectation is data: nothing that it says is evaluated, fetched or opened.

Great Expectations makes every condition an expression of ``DataFrame.query``, which runs Python, and takes queries, and
JSON schemas that name addresses. So what an expectation may take is a closed list, and a condition has one form.
"""

import re
from collections.abc import Mapping
from typing import Any

from engine.definitions.mistakes import TYPO_CUTOFF, Findings, find_near_spelling, format_names, format_value
from engine.definitions.yaml_document import Path
from engine.domain.samples import SAMPLE_SCHEMA
from engine.domain.suites import PARAMETERS

# Arguments that name one column.
COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
# Read in the source of Great Expectations 1.24: what each of these says is compared, counted or matched, no more.
ARGUMENTS = frozenset(
    (
        *COLUMN_ARGUMENTS,
        *"column_list column_set column_index exact_match type_ type_list row_condition ignore_row_if mostly".split(),
        *"value min_value max_value strict_min strict_max sum_total threshold double_sided method multiplier".split(),
        *"value_set value_pairs_set ties_okay or_equal strictly quantile_ranges allow_relative_error".split(),
        *"regex regex_list match_on strftime_format".split(),
        *"partition_object internal_weight_holdout tail_weight_holdout bucketize_data".split(),
        # Those of the gate's own expectations.
        *"traits wanted members min_jaccard min_share max_auc figures min_word_order min_seed_likeness".split(),
        *"min_vendi_of_eight max_shared_openings max_shared_openings_of_few".split(),
    )
)
OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "IN", "NOT_IN")
CONDITION_FIELDS = {
    "comparison": {"type", "column", "operator", "parameter"},
    "nullity": {"type", "column", "is_null"},
    "and": {"type", "conditions"},
    "or": {"type", "conditions"},
}
GUIDE = "docs/guides/own-expectations.md"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def check_arguments(arguments: Mapping[str, Any], path: Path, findings: Findings) -> None:
    """Checks that all arguments of an expectation are of the closed list, and name what there is."""
    for name, value in arguments.items():
        at = (*path, name)
        if name not in ARGUMENTS:
            allowed = f"an argument that evaluates, fetches and opens nothing ({GUIDE} lists them)"
            findings.add(at, format_value(value), allowed, find_near_spelling(name, ARGUMENTS, TYPO_CUTOFF))
        elif name == "row_condition" and value is not None:
            _check_condition(value, at, findings)
        elif name in COLUMN_ARGUMENTS:
            _check_column(value, at, findings)
        elif name in ("regex", "regex_list") and _CONTROL.search("".join(_list_texts(value))):
            allowed = "a pattern whose backslashes are doubled, since JSON reads one before b as a control character"
            findings.add(at, format_value(value), allowed)
        else:
            _check_parameters(value, at, findings)


def _list_texts(value: Any) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]


def _check_condition(value: Any, at: Path, findings: Findings) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in CONDITION_FIELDS or {*value} != CONDITION_FIELDS[kind]:
        allowed = f"a condition of the type comparison, nullity, and, or, with its fields alone ({GUIDE})"
        findings.add(at, format_value(value), allowed)
    elif "conditions" in value:
        if not isinstance(value["conditions"], list):
            findings.add((*at, "conditions"), format_value(value["conditions"]), "a list of conditions")
            return
        for number, part in enumerate(value["conditions"]):
            _check_condition(part, (*at, "conditions", number), findings)
    else:
        column = value["column"]
        if isinstance(column, dict) and {*column} == {"name"}:
            _check_column(column["name"], (*at, "column", "name"), findings)
        else:
            findings.add((*at, "column"), format_value(column), '{"name": …}, a column of samples.parquet')
        if value.get("operator", "==") not in OPERATORS:
            findings.add((*at, "operator"), format_value(value["operator"]), ", ".join(OPERATORS))
        compared = value.get("parameter", "")
        if value.get("operator") in ("IN", "NOT_IN") and not isinstance(compared, list):
            findings.add((*at, "parameter"), format_value(compared), "a list, of texts or numbers")
        # pandas takes what stands between two backticks for a name before it reads the texts around it: with a quote in
        # between, the rest of a text becomes code. All else is written as Python writes it.
        for item in compared if isinstance(compared, list) else [compared]:
            if not isinstance(item, str | int | float) or "`" in str(item):
                allowed = "a text without backticks, a number, true or false, or a list of these"
                findings.add((*at, "parameter"), format_value(item), allowed)


def _check_column(value: Any, at: Path, findings: Findings) -> None:
    columns = SAMPLE_SCHEMA.names
    if value not in columns:
        near = find_near_spelling(value, columns) if isinstance(value, str) else None
        findings.add(at, format_value(value), f"a column of samples.parquet: {format_names(columns)}", near)


def _check_parameters(value: Any, at: Path, findings: Findings) -> None:
    """Checks what the value names as ``{"$PARAMETER": name}``: Great Expectations would calculate with the name."""
    if isinstance(value, dict) and "$PARAMETER" in value:
        if {*value} != {"$PARAMETER"} or value["$PARAMETER"] not in PARAMETERS:
            found = format_value(value["$PARAMETER"]) if len(value) == 1 else "further fields beside $PARAMETER"
            findings.add(at, found, f'{{"$PARAMETER": name}}, of {", ".join(PARAMETERS)}')
    elif isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_parameters(item, (*at, name), findings)
