"""The codes of the contract: there are these and no others, and each is met as the document says it is."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import get_args

import httpx
import pytest
from fakes.door import open_door
from fakes.stored import attach_texts
from fakes.surface import BARE, TRAINED, UNDISCOVERED, UNKNOWN, Surface
from fakes.workspace import HANDLE, make_workspace

from engine.store.layout import SAMPLES
from flows.api.errors import Code
from flows.api.openapi.refusals import REFUSALS, Refused

# The platform's contract, section 5.
CONTRACT = (
    "unauthorized forbidden not_found model_not_found trait_not_found sample_not_found sample_authored "
    "method_not_allowed body_too_large invalid_json invalid_handle invalid_request no_traits no_seed_samples "
    "already_running model_busy model_not_draft orchestrator_unavailable internal_error"
).split()


def post(client: httpx.Client, handle: str, **fields: object) -> httpx.Response:
    return client.post(f"/models/{handle}/samples/synthesize", json=fields)


def synthesize_after_another(surface: Surface, effort: str) -> httpx.Response:
    surface.synthesize(effort="low")
    return surface.synthesize(effort=effort)


def delete_authored(surface: Surface) -> httpx.Response:
    [sample] = surface.author.get(f"/models/{HANDLE}/samples?limit=1").json()["items"]
    return surface.author.delete(f"/models/{HANDLE}/samples/{sample['id']}")


TRIGGERS: Mapping[Refused, Callable[[Surface], httpx.Response]] = {
    (400, "invalid_request"): lambda surface: surface.author.get("/models", headers={"Host": "example.org"}),
    (400, "invalid_json"): lambda surface: surface.author.post(f"/models/{HANDLE}/samples/synthesize", content="{"),
    (401, "unauthorized"): lambda surface: surface.nobody.get("/models"),
    (403, "forbidden"): lambda surface: post(surface.stranger, HANDLE),
    (404, "not_found"): lambda surface: surface.author.get("/nothing"),
    (404, "model_not_found"): lambda surface: surface.author.get(f"/models/{UNKNOWN}"),
    (404, "trait_not_found"): lambda surface: surface.author.get(f"/models/{HANDLE}/samples?trait=warmth"),
    (404, "sample_not_found"): lambda surface: surface.author.delete(f"/models/{HANDLE}/samples/1"),
    (405, "method_not_allowed"): lambda surface: surface.author.delete("/models"),
    (409, "already_running"): lambda surface: synthesize_after_another(surface, "low"),
    (409, "model_busy"): lambda surface: synthesize_after_another(surface, "high"),
    (409, "model_not_draft"): lambda surface: post(surface.author, TRAINED),
    (409, "sample_authored"): delete_authored,
    (413, "body_too_large"): lambda surface: post(surface.author, HANDLE, note="x" * 70_000),
    (422, "invalid_handle"): lambda surface: surface.author.get("/models/Technical%20Writing"),
    (422, "invalid_request"): lambda surface: surface.author.get("/models?limit=0"),
    (422, "no_traits"): lambda surface: post(surface.author, UNDISCOVERED),
    (422, "no_seed_samples"): lambda surface: post(surface.author, BARE, synth_type="diversify"),
}
# With Prefect down, or a store that is broken; the last where the server stops (`test_server.py`).
ELSEWHERE: set[Refused] = {(500, "internal_error"), (503, "orchestrator_unavailable"), (503, "internal_error")}


@pytest.fixture(autouse=True)
def nothing_runs(request: pytest.FixtureRequest) -> Iterator[None]:
    """No run is left under way."""
    yield
    if "surface" in request.fixturenames:
        request.getfixturevalue("surface").end_runs()


def check_refusal(answer: httpx.Response, refused: Refused) -> None:
    """The status, the code, and details that hold what the documented example holds."""
    error = answer.json()["error"]
    assert refused == (answer.status_code, error["code"])
    assert set(REFUSALS[refused].details) == set(error["details"])
    assert answer.headers["X-Request-Id"] == error["request_id"]


def test_codes_are_those_of_the_contract() -> None:
    assert CONTRACT == list(get_args(Code))


def test_every_code_is_documented_and_has_a_test_that_meets_it() -> None:
    assert set(CONTRACT) == {code for _, code in REFUSALS}
    assert set(REFUSALS) == set(TRIGGERS) | ELSEWHERE


@pytest.mark.slow
@pytest.mark.parametrize("refused", TRIGGERS, ids=str)
def test_code_is_met_as_documented(surface: Surface, refused: Refused) -> None:
    check_refusal(TRIGGERS[refused](surface), refused)


@pytest.mark.slow
def test_code_of_what_is_broken_on_this_side_is_met_as_documented(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "alone")
    with open_door(workspace, {**workspace.variables, "PREFECT_API_URL": "http://127.0.0.1:9/api"}) as door:
        client = door.open_client()
        unavailable = client.get("/health")
        attach_texts(workspace.samples, HANDLE, ["One.", "Two."])
        for path in workspace.samples.rglob(SAMPLES):
            path.write_bytes(b"no Parquet")
        failed = client.get(f"/models/{HANDLE}/samples")

    check_refusal(unavailable, (503, "orchestrator_unavailable"))
    check_refusal(failed, (500, "internal_error"))
    assert str(tmp_path) not in failed.text
