"""Read authored suites of expectations: suites for the whole catalogue, and the suite of one model.

An expectation is data: its content is never evaluated, fetched or opened. Great Expectations turns every condition
into an expression of ``DataFrame.query``, which runs Python, and accepts queries, and JSON schemas that name addresses.
So the arguments of an expectation are a closed list, and a condition has one form.
"""

import json
import re
from typing import Annotated, Any, Literal

import pyarrow as pa
from pyarrow import fs
from pydantic import AfterValidator, Field

from engine.definitions.mistakes import (
    TYPO_CUTOFF,
    ClosedEntry,
    Findings,
    check_entries,
    find_near_spelling,
    format_value,
    validate_document,
)
from engine.definitions.yaml_document import MAX_BYTES, Document, Path, read_authored
from engine.domain.model import OwnSuite
from engine.domain.samples import SAMPLE_SCHEMA
from engine.domain.verdict import GATE_SUITES
from engine.errors import DefinitionError, InputError, StoreError
from engine.settings import Settings
from engine.system.filesystem import list_below, open_folder, read_bytes

# The suite of one model, in its folder.
MODEL_SUITE = "expectations.json"
# A suite's name becomes part of file names.
SUITE_NAME = re.compile(r"\w[\w -]{0,79}")
# Names allowed in ``{"$PARAMETER": name}``; ``expectations.gate.make_parameters`` computes their values.
PARAMETERS = ("traits", "wanted", "row_floor", "run_ids", "columns", "diversity")
# Arguments that each name one column.
COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
# Arguments that Great Expectations 1.24 only compares, counts or matches, according to its source code.
ARGUMENTS = frozenset(
    (
        *COLUMN_ARGUMENTS,
        *"column_list column_set column_index exact_match type_ type_list row_condition ignore_row_if mostly".split(),
        *"value min_value max_value strict_min strict_max sum_total threshold double_sided method multiplier".split(),
        *"value_set value_pairs_set ties_okay or_equal strictly quantile_ranges allow_relative_error".split(),
        *"regex regex_list match_on strftime_format".split(),
        *"partition_object internal_weight_holdout tail_weight_holdout bucketize_data".split(),
        # Arguments of the gate's built-in expectations.
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


class ExpectationEntry(ClosedEntry):
    """One expectation, in the format of Great Expectations; the last four fields are ignored."""

    type: str = Field(min_length=1)
    kwargs: dict[str, Any] = Field(default_factory=dict)
    severity: Literal["critical", "warning", "info"] = "critical"
    meta: dict[str, Any] = Field(default_factory=dict)
    description: str | None = None
    id: Any = None
    notes: Any = None
    rendered_content: Any = None
    expectation_context: Any = None


class SuiteEntry(ClosedEntry):
    """A suite, in the format of Great Expectations; the last four fields are ignored."""

    name: str
    expectations: Annotated[tuple[ExpectationEntry, ...], AfterValidator(check_entries)]
    id: Any = None
    meta: Any = None
    notes: Any = None
    suite_parameters: Any = None


def read_own_suites(settings: Settings, handle: str) -> tuple[OwnSuite, ...]:
    """Read the authored suites that a model's runs must pass: the catalogue's, sorted by file name, then the model's.

    This function checks that they are data, without evaluating them; ``expectations.own_suites`` checks that Great
    Expectations knows them.

    Raises:
        DefinitionError: a file is not a suite; the error carries all mistakes of the first such file.
        InputError: two suites have the same name, or the folder in the setting does not exist.
        StoreError: a file or folder cannot be read.
    """
    suites = (*_read_catalogue(settings), *read_model_suite(settings.models_uri, handle))
    places: dict[str, str] = {}
    for suite in suites:
        if other := places.get(suite.name):
            raise InputError(f"{other} and {suite.place} are two suites of the name {suite.name!r}. Rename one")
        places[suite.name] = suite.place
    return suites


def read_model_suite(models_uri: str, handle: str) -> list[OwnSuite]:
    """Read the suite in a model's folder; the list is empty if the file does not exist.

    Raises:
        DefinitionError, StoreError: as ``read_own_suites``.
    """
    content = read_authored(models_uri, handle, MODEL_SUITE)
    return [] if content is None else [parse_suite(f"{handle}/{MODEL_SUITE}", content)]


def parse_suite(place: str, content: bytes) -> OwnSuite:
    """Parse the content of a file into a suite.

    Raises:
        DefinitionError: it is not a suite; the error carries all mistakes of form.
    """
    entry, findings = validate_document(Document(place, _parse_json(place, content), {}), SuiteEntry)
    if entry.name in GATE_SUITES:
        findings.add(
            ("name",), repr(entry.name), f"a name that the gate's own suites do not have ({', '.join(GATE_SUITES)})"
        )
    elif not SUITE_NAME.fullmatch(entry.name):
        findings.add(("name",), format_value(entry.name), "at most 80 letters, digits, spaces, '_' and '-'")
    expectations = []
    for number, item in enumerate(entry.expectations):
        at: Path = ("expectations", number)
        for word in ("says", "do"):
            if not isinstance(item.meta.get(word, ""), str):
                findings.add((*at, "meta", word), format_value(item.meta[word]), "text")
        for name, value in item.kwargs.items():
            _check_argument(name, value, (*at, "kwargs", name), findings)
        optional = {"description"} if item.description else set()
        # The gate and its digest use this form.
        expectations.append(item.model_dump(include={"type", "kwargs", "severity", "meta"} | optional))
    if findings.problems:
        raise findings.make_error()
    spec = {"name": entry.name, "expectations": expectations}
    return OwnSuite(entry.name, place, json.dumps(spec, sort_keys=True, ensure_ascii=False))


def _read_catalogue(settings: Settings) -> list[OwnSuite]:
    uri = settings.expectations_uri.rstrip("/")
    try:
        filesystem, path = open_folder(uri)
        kind = filesystem.get_file_info(path).type
        if kind == fs.FileType.NotFound and "expectations_uri" not in settings.model_fields_set:
            return []
        if kind != fs.FileType.Directory:
            raise InputError(f"EXEMPLARS_EXPECTATIONS_URI is {uri}, which is no folder. Make it, or unset the variable")
        infos = sorted(list_below(filesystem, path), key=lambda info: info.base_name)
        suites = [info for info in infos if info.base_name.endswith(".json") and not info.base_name.startswith(".")]
        return [parse_suite(f"{uri}/{info.base_name}", read_bytes(f"{uri}/{info.base_name}")) for info in suites]
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The suites in {uri} cannot be read: {error}") from error


def _parse_json(place: str, content: bytes) -> Any:
    if len(content) > MAX_BYTES:
        raise DefinitionError.of_file(place, f"{len(content):,} bytes", f"{MAX_BYTES:,} bytes at most")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise DefinitionError.of_file(place, str(error), "one object of JSON, in UTF-8", line) from None


def _check_argument(name: str, value: Any, at: Path, findings: Findings) -> None:
    if name == "severity":
        findings.add(at, format_value(value), "no severity here: it stands beside kwargs, as type does")
    elif name not in ARGUMENTS:
        allowed = f"an argument that evaluates, fetches and opens nothing ({GUIDE} lists them)"
        findings.add(at, format_value(value), allowed, find_near_spelling(name, ARGUMENTS, TYPO_CUTOFF))
    elif name == "row_condition" and value is not None:
        _check_condition(value, at, findings)
    elif name in COLUMN_ARGUMENTS:
        _check_column(value, at, findings)
    elif name in ("regex", "regex_list") and _CONTROL.search("".join(map(str, _as_list(value)))):
        allowed = "a pattern whose backslashes are doubled, since JSON reads one before b as a control character"
        findings.add(at, format_value(value), allowed)
    else:
        _check_parameters(value, at, findings)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check_condition(value: Any, at: Path, findings: Findings) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in CONDITION_FIELDS or {*value} != CONDITION_FIELDS[kind]:
        allowed = f"a condition of the type comparison, nullity, and, or, with its fields alone ({GUIDE})"
        findings.add(at, format_value(value), allowed)
    elif "conditions" in value:
        if not isinstance(value["conditions"], list):
            findings.add((*at, "conditions"), format_value(value["conditions"]), "a list of conditions")
        else:
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
        # pandas reads text between two backticks as a name before it parses the strings around it: a quote between the
        # backticks turns the rest of a string into code. All other characters are escaped as in Python.
        for item in _as_list(compared):
            if not isinstance(item, str | int | float) or "`" in str(item):
                allowed = "a text without backticks, a number, true or false, or a list of these"
                findings.add((*at, "parameter"), format_value(item), allowed)


def _check_column(value: Any, at: Path, findings: Findings) -> None:
    if value not in SAMPLE_SCHEMA.names:
        findings.add_unknown(at, value, "a column of samples.parquet", SAMPLE_SCHEMA.names)


def _check_parameters(value: Any, at: Path, findings: Findings) -> None:
    """Check the names in ``{"$PARAMETER": name}``: Great Expectations would evaluate a name as arithmetic."""
    if isinstance(value, dict) and "$PARAMETER" in value:
        if {*value} != {"$PARAMETER"} or value["$PARAMETER"] not in PARAMETERS:
            given = format_value(value["$PARAMETER"]) if len(value) == 1 else "further fields beside $PARAMETER"
            findings.add(at, given, f'{{"$PARAMETER": name}}, of {", ".join(PARAMETERS)}')
    elif isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_parameters(item, (*at, name), findings)
