"""Reads the suites of expectations that authors write: those of the whole catalogue, and that of one model."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pyarrow as pa
from pyarrow import fs
from pydantic import AfterValidator, Field

from engine.definitions.loader import locate_model
from engine.definitions.mistakes import ClosedEntry, Findings, check_entries, format_value, validate_document
from engine.definitions.suite_arguments import check_arguments
from engine.definitions.yaml_document import Document, read_authored
from engine.domain.suites import GATE_SUITES, OwnSuite
from engine.errors import DefinitionError, InputError, StoreError
from engine.settings import Settings
from engine.system.filesystem import list_below, open_folder, read_bytes

# The suite of one model, in its folder.
MODEL_SUITE = "expectations.json"
# It becomes a part of the names of files.
SUITE_NAME = re.compile(r"\w[\w -]{0,79}")
MAX_BYTES = 1024 * 1024


class ExpectationEntry(ClosedEntry):
    """One expectation, as Great Expectations writes it too; the last four fields are passed over."""

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
    """A suite, as Great Expectations writes it too; the last four fields are passed over."""

    name: str
    expectations: Annotated[tuple[ExpectationEntry, ...], AfterValidator(check_entries)]
    id: Any = None
    meta: Any = None
    notes: Any = None
    suite_parameters: Any = None


def read_own_suites(settings: Settings, handle: str) -> tuple[OwnSuite, ...]:
    """Reads the suites that a model's runs are held against: the catalogue's by their file names, then its own.

    Here it is told that they are data, and nothing that they say is evaluated; ``expectations.own_suites`` asks Great
    Expectations whether it knows them.

    Raises:
        DefinitionError: a file is no suite; the error carries all mistakes of the first such file.
        InputError: two suites have one name, or the folder that the setting names is not there.
        StoreError: a file or folder cannot be read.
    """
    return join_suites(read_catalogue_suites(settings), read_model_suite(settings.locate(settings.models_uri), handle))


def join_suites(catalogue: Sequence[OwnSuite], own: Sequence[OwnSuite]) -> tuple[OwnSuite, ...]:
    """Joins the catalogue's suites and a model's.

    Raises:
        InputError: two suites have one name.
    """
    places: dict[str, str] = {}
    for suite in (*catalogue, *own):
        if other := places.get(suite.name):
            raise InputError(f"{other} and {suite.place} are two suites of the name {suite.name!r}. Rename one")
        places[suite.name] = suite.place
    return (*catalogue, *own)


def read_catalogue_suites(settings: Settings) -> list[OwnSuite]:
    """Reads the suites of the whole catalogue, by their file names.

    Raises:
        DefinitionError, InputError, StoreError: as ``read_own_suites``.
    """
    uri = settings.locate(settings.expectations_uri).rstrip("/")
    try:
        filesystem, path = open_folder(uri)
        kind = filesystem.get_file_info(path).type
        if kind == fs.FileType.NotFound and "expectations_uri" not in settings.model_fields_set:
            return []
        if kind != fs.FileType.Directory:
            raise InputError(f"EXEMPLARS_EXPECTATIONS_URI is {uri}, which is no folder. Make it, or unset the variable")
        infos = sorted(list_below(filesystem, path), key=lambda info: info.base_name)
        found = [info for info in infos if info.base_name.endswith(".json") and not info.base_name.startswith(".")]
        return [_read_suite(f"{uri}/{info.base_name}", info.is_file) for info in found]
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The suites in {uri} cannot be read: {error}") from error


def read_model_suite(models_uri: str, handle: str) -> list[OwnSuite]:
    """Reads the suite in a model's folder; none if there is no such file.

    Raises:
        DefinitionError, StoreError: as ``read_own_suites``.
    """
    place, folder = f"{handle}/{MODEL_SUITE}", locate_model(models_uri, handle)
    content = read_authored(folder, MODEL_SUITE, place)
    if content is None:
        return []
    return [parse_suite(place, content)]


def parse_suite(place: str, content: bytes) -> OwnSuite:
    """Parses the content of a file into a suite.

    Raises:
        DefinitionError: it is no suite; the error carries all mistakes of form.
    """
    entry, findings = validate_document(Document(place, _parse_json(place, content), {}), SuiteEntry)
    if entry.name in GATE_SUITES:
        findings.add(
            ("name",), repr(entry.name), f"a name that the gate's own suites do not have ({', '.join(GATE_SUITES)})"
        )
    elif not SUITE_NAME.fullmatch(entry.name):
        findings.add(("name",), format_value(entry.name), "at most 80 letters, digits, spaces, '_' and '-'")
    expectations = [_describe(number, item, findings) for number, item in enumerate(entry.expectations)]
    if findings.problems:
        raise findings.make_error()
    spec = {"name": entry.name, "expectations": expectations}
    return OwnSuite(entry.name, place, json.dumps(spec, sort_keys=True, ensure_ascii=False))


def _read_suite(place: str, is_file: bool) -> OwnSuite:
    if not is_file:
        raise DefinitionError.of_file(place, "a folder, or a link to nothing", "a file")
    return parse_suite(place, read_bytes(place))


def _parse_json(place: str, content: bytes) -> Any:
    if len(content) > MAX_BYTES:
        raise DefinitionError.of_file(place, f"{len(content):,} bytes", f"{MAX_BYTES:,} bytes at most")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise DefinitionError.of_file(place, str(error), "one object of JSON, in UTF-8", line) from None


def _describe(number: int, entry: ExpectationEntry, findings: Findings) -> dict[str, Any]:
    """The expectation as the gate and its digest have it."""
    for word in ("says", "do"):
        if not isinstance(entry.meta.get(word, ""), str):
            findings.add(("expectations", number, "meta", word), format_value(entry.meta[word]), "text")
    if "severity" in entry.kwargs:
        allowed = "no severity here: it stands beside kwargs, as type does"
        findings.add(("expectations", number, "kwargs", "severity"), format_value(entry.kwargs["severity"]), allowed)
    arguments = {name: value for name, value in entry.kwargs.items() if name != "severity"}
    check_arguments(arguments, ("expectations", number, "kwargs"), findings)
    return {
        "type": entry.type,
        "kwargs": dict(entry.kwargs),
        "severity": entry.severity,
        "meta": dict(entry.meta),
        **({"description": entry.description} if entry.description else {}),
    }
