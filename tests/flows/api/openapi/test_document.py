"""The OpenAPI document: it is one, it is enough to work from, and the door does what it says, however it is asked."""

import os
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest
import schemathesis
from fakes.fuzzing import CHECKS, fuzz, read_document
from fakes.long import longer
from fakes.stored import attach_texts
from fakes.surface import PUBLIC, SEEDED, TRAINED, Surface
from fakes.workspace import HANDLE
from schemathesis.checks import CHECKS as KNOWN_CHECKS
from schemathesis.checks import load_all_checks

from engine.settings import Settings
from flows.api.app import make_app
from flows.api.errors import Code
from flows.api.openapi.refusals import REFUSALS

DOCUMENT: dict[str, Any] = make_app(Settings()).openapi()
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation for item in DOCUMENT["paths"].values() for operation in item.values()
}
EACH_OPERATION = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
MORE_HEADERS = {401: {"WWW-Authenticate"}, 409: {"X-Run-Id"}, 503: {"Retry-After"}}

# Another round: FUZZ_SEED=2.
MAX_EXAMPLES = 2000
SEED = int(os.environ.get("FUZZ_SEED", "1"))


def find_problems(schema: dict[str, Any], value: object) -> list[str]:
    """What is wrong with a value by a schema of the document."""
    rooted = {**schema, "components": DOCUMENT["components"]}
    validator = jsonschema_rs.Draft202012Validator(rooted, validate_formats=True)
    return [error.message for error in validator.iter_errors(value)]


def list_examples(content: dict[str, Any]) -> list[Any]:
    """The examples of a body, however they are given."""
    given = [content["example"]] if "example" in content else []
    return given + [example["value"] for example in content.get("examples", {}).values()]


def walk(part: object) -> Iterator[dict[str, Any]]:
    """All objects inside of it."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from walk(inner)


def test_document_is_openapi_31_of_the_contracts_operations_and_what_it_refers_to_is_there() -> None:
    schemathesis.openapi.from_dict(deepcopy(DOCUMENT)).validate()
    references = {part["$ref"].rpartition("/")[2] for part in walk(DOCUMENT) if "$ref" in part}
    linked = {each["operationId"] for part in walk(DOCUMENT) for each in part.get("links", {}).values()}

    assert "3.1.0" == DOCUMENT["openapi"]
    assert {
        "get /v1/health read_health",
        "get /v1/models list_models",
        "get /v1/models/{handle} read_model",
        "get /v1/models/{handle}/samples list_samples",
        "post /v1/models/{handle}/samples add_samples",
        "post /v1/models/{handle}/samples/synthesize synthesize_samples",
        "delete /v1/models/{handle}/samples/{sample_id} delete_sample",
        "get /v1/models/{handle}/traits list_traits",
        "get /v1/runs/{run_id}/report read_report",
        "get /v1/runs/{run_id}/review read_review",
        "post /v1/runs/{run_id}/review finish_review",
        "post /v1/runs/{run_id}/review/decisions decide_on_sample",
    } == {
        f"{method} {path} {each['operationId']}"
        for path, item in DOCUMENT["paths"].items()
        for method, each in item.items()
    }
    assert set(DOCUMENT["components"]["schemas"]) >= references
    assert set(OPERATIONS) >= linked
    for name, schema in DOCUMENT["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema)
        assert "ValidationError" not in name
        assert [] == [key for key, field in schema["properties"].items() if not field.get("description")], name


@EACH_OPERATION
def test_operation_says_what_it_is_for_by_examples_that_agree_with_its_schemas(operation: dict[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    given = [(content["schema"], example) for example in list_examples(content)] if content else []
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        assert parameter["description"]
        assert {"examples", "default", "enum", "const"} & set(schema), parameter["name"]
        given += [(schema, example) for example in [*schema.get("examples", ()), schema.get("default")] if example]

    assert {"summary", "description", "tags"} <= set(operation)
    assert [] == [problem for schema, example in given for problem in find_problems(schema, example)]


def test_key_is_asked_for_everywhere_but_for_health() -> None:
    is_open = [name for name, operation in OPERATIONS.items() if not operation.get("security")]

    assert ["read_health"] == is_open
    assert is_open == [name for name, operation in OPERATIONS.items() if "401" not in operation["responses"]]


@EACH_OPERATION
def test_answer_agrees_with_its_schemas_and_a_refusal_is_the_envelope_with_a_code_of_its_status(
    operation: dict[str, Any],
) -> None:
    negotiated = {"Vary"} if operation["operationId"] == "read_model" else set()
    for status, answer in ((int(status), answer) for status, answer in operation["responses"].items()):
        extra = MORE_HEADERS.get(status, set()) | (negotiated if status == 200 else set())
        assert answer["description"]
        assert {"X-Request-Id", "X-Ignored-Fields"} | extra == set(answer["headers"])
        told = [(content, example) for content in answer["content"].values() for example in list_examples(content)]
        headers = [(header, header["example"]) for header in answer["headers"].values()]
        assert {id(content) for content in answer["content"].values()} == {id(content) for content, _ in told}
        assert [] == [said for part, example in (*told, *headers) for said in find_problems(part["schema"], example)]
        if status >= 400:
            [content] = answer["content"].values()
            codes = content["schema"]["properties"]["error"]["properties"]["code"]["enum"]
            assert "#/components/schemas/ErrorEnvelope" == content["schema"]["$ref"]
            assert codes == [example["error"]["code"] for example in list_examples(content)]
            assert [] == [code for code in codes if (status, code) not in REFUSALS]
            assert codes == re.findall(r"`(\w+)`:", answer["description"])


def test_no_other_code_is_documented() -> None:
    codes = {part["code"] for part in walk(DOCUMENT) if isinstance(part.get("code"), str)}

    assert set(get_args(Code)) - {"method_not_allowed"} == codes
    assert "\n- 405 `method_not_allowed`: " in DOCUMENT["info"]["description"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@longer
def test_door_does_what_the_document_says(surface: Surface, tmp_path: Path) -> None:
    load_all_checks()

    assert set(KNOWN_CHECKS.get_all_names()) - {"max_response_time"} == set(CHECKS)
    run_id = attach_texts(surface.samples, HANDLE, ["One.", "Two.", "Three."], "<p>Report</p>")
    document = read_document(surface, (HANDLE, SEEDED, TRAINED, PUBLIC), run_id)
    found = fuzz(surface, document, tmp_path, MAX_EXAMPLES, SEED)
    requests, statuses = sum(found.requests.values()), {status for _, status in found.requests}
    print(f"\n{requests} requests, {len(CHECKS)} checks, seed {SEED}", dict(sorted(found.requests.items())), sep="\n")

    assert ([], []) == (found.said, found.errors)
    assert {"success"} == found.phases
    assert len(OPERATIONS) == len(found.operations)
    assert requests > 400
    # It got behind the first refusal.
    assert {200, 202, 400, 401, 404, 405, 409, 422} <= statuses
    assert not {500, 503} & statuses
