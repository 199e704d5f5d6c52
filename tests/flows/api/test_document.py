"""The OpenAPI document is enough to work from, the API does what it says, and its page needs no network and no key."""

import os
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from fakes.long import longer
from fakes.stored import attach_texts
from fakes.surface import BARE, PUBLIC, SEEDED, TRAINED, UNDISCOVERED, UNKNOWN, Surface, read_refusal
from fakes.workspace import HANDLE

from engine.settings import Settings
from engine.store.layout import SAMPLES
from flows.api.app import make_app
from flows.api.errors import Code
from flows.api.refusals import REFUSALS, Refused

DOCUMENT: dict[str, Any] = make_app(Settings()).openapi()
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation for item in DOCUMENT["paths"].values() for operation in item.values()
}
MORE_HEADERS = {401: {"WWW-Authenticate"}, 409: {"X-Run-Id"}, 503: {"Retry-After"}}

MAX_EXAMPLES = 2000
# Another round: FUZZ_SEED=2.
SEED = int(os.environ.get("FUZZ_SEED", "1"))


def test_document_is_openapi_31_and_describes_each_field() -> None:
    import schemathesis

    schemathesis.openapi.from_dict(deepcopy(DOCUMENT)).validate()

    assert "3.1.0" == DOCUMENT["openapi"]
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert "ValidationError" not in name
        assert [] == [key for key, field in schema["properties"].items() if not field.get("description")], name


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_refusal_is_the_envelope_with_the_codes_of_its_status_and_headers_are_named(operation: dict[str, Any]) -> None:
    for status, answer in ((int(status), answer) for status, answer in operation["responses"].items()):
        assert {"X-Request-Id", "X-Ignored-Fields"} | MORE_HEADERS.get(status, set()) <= set(answer["headers"])
        if status >= 400:
            [content] = answer["content"].values()
            codes = content["schema"]["properties"]["error"]["properties"]["code"]["enum"]
            assert "#/components/schemas/ErrorEnvelope" == content["schema"]["$ref"]
            assert [] == [code for code in codes if (status, code) not in REFUSALS]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@longer
def test_api_does_what_the_document_says(surface: Surface, tmp_path: Path) -> None:
    # Imported here: each process that collects tests would take seconds for it.
    from fakes.fuzzing import CHECKS, fuzz, read_document

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


SYNTHESIS = f"/models/{HANDLE}/samples/synthesize"


def synthesize_after_another(surface: Surface, effort: str) -> httpx.Response:
    surface.synthesize(effort="low")
    return surface.synthesize(effort=effort)


def delete_authored(surface: Surface) -> httpx.Response:
    [sample] = surface.author.get(f"/models/{HANDLE}/samples?limit=1").json()["items"]
    return surface.author.delete(f"/models/{HANDLE}/samples/{sample['id']}")


def list_broken(surface: Surface) -> httpx.Response:
    attach_texts(surface.samples, HANDLE, ["One.", "Two."])
    [samples] = surface.samples.rglob(SAMPLES)
    samples.write_bytes(b"no Parquet")
    return surface.author.get(f"/models/{HANDLE}/samples")


def ask_while_away(surface: Surface) -> httpx.Response:
    surface.orchestrator.away = True
    return surface.nobody.get("/health")


TRIGGERS: Mapping[Refused, Callable[[Surface], httpx.Response]] = {
    (400, "invalid_request"): lambda surface: surface.author.get("/models", headers={"Host": "example.org"}),
    (400, "invalid_json"): lambda surface: surface.author.post(SYNTHESIS, content="{"),
    (401, "unauthorized"): lambda surface: surface.nobody.get("/models"),
    (403, "forbidden"): lambda surface: surface.stranger.post(SYNTHESIS, json={}),
    (404, "not_found"): lambda surface: surface.author.get("/nothing"),
    (404, "model_not_found"): lambda surface: surface.author.get(f"/models/{UNKNOWN}"),
    (404, "trait_not_found"): lambda surface: surface.author.get(f"/models/{HANDLE}/samples?trait=warmth"),
    (404, "sample_not_found"): lambda surface: surface.author.delete(f"/models/{HANDLE}/samples/1"),
    (405, "method_not_allowed"): lambda surface: surface.author.delete("/models"),
    (409, "already_running"): lambda surface: synthesize_after_another(surface, "low"),
    (409, "model_busy"): lambda surface: synthesize_after_another(surface, "high"),
    (409, "model_not_draft"): lambda surface: surface.synthesize(TRAINED),
    (409, "sample_authored"): delete_authored,
    (413, "body_too_large"): lambda surface: surface.synthesize(note="x" * 70_000),
    (422, "invalid_handle"): lambda surface: surface.author.get("/models/Technical%20Writing"),
    (422, "invalid_request"): lambda surface: surface.author.get("/models?limit=0"),
    (422, "no_traits"): lambda surface: surface.synthesize(UNDISCOVERED),
    (422, "no_seed_samples"): lambda surface: surface.synthesize(BARE, synth_type="diversify"),
    (500, "internal_error"): list_broken,
    (503, "orchestrator_unavailable"): ask_while_away,
}
# Where the server stops (`test_server.py`).
ELSEWHERE: set[Refused] = {(503, "internal_error")}


def test_every_code_is_documented_and_has_a_test_that_meets_it() -> None:
    assert set(get_args(Code)) == {code for _, code in REFUSALS}
    assert set(REFUSALS) == set(TRIGGERS) | ELSEWHERE


@pytest.mark.parametrize("refused", TRIGGERS, ids=str)
def test_code_is_met_as_documented(surface: Surface, refused: Refused) -> None:
    answer = TRIGGERS[refused](surface)

    assert refused == read_refusal(answer)
    assert str(surface.workspace.folder) not in answer.text


FILES = {f"/docs/files/{name}" for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")}


def test_page_and_its_files_need_no_key_and_nothing_else_is_open_below(surface: Surface) -> None:
    page = surface.nobody.get("/docs")

    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert {f"/v1{path}" for path in FILES} == set(re.findall(r'(?:href|src)="([^"]+)"', page.text))
    assert {200} == {surface.nobody.get(path).status_code for path in FILES}
    for other in ("nothing.js", "..%2f..%2fopenapi.json", "../../models", ""):
        assert surface.nobody.get(f"/docs/files/{other}").status_code in {401, 404}
