"""The codes of the contract: there are these and no others, and each is met as the document says it is."""

from collections.abc import Callable, Mapping
from typing import get_args

import httpx
import pytest
from fakes.stored import attach_texts
from fakes.surface import BARE, TRAINED, UNDISCOVERED, UNKNOWN, Surface, read_refusal
from fakes.workspace import HANDLE

from engine.store.layout import SAMPLES
from flows.api.errors import Code
from flows.api.openapi.refusals import REFUSALS, Refused

# The platform's contract, section 5.
CONTRACT = (
    "unauthorized forbidden not_found model_not_found trait_not_found sample_not_found sample_authored "
    "method_not_allowed body_too_large invalid_json invalid_handle invalid_request no_traits no_seed_samples "
    "already_running model_busy model_not_draft orchestrator_unavailable internal_error"
).split()
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


def test_every_code_of_the_contract_is_documented_and_has_a_test_that_meets_it() -> None:
    assert CONTRACT == list(get_args(Code))
    assert set(CONTRACT) == {code for _, code in REFUSALS}
    assert set(REFUSALS) == set(TRIGGERS) | ELSEWHERE


@pytest.mark.parametrize("refused", TRIGGERS, ids=str)
def test_code_is_met_as_documented(surface: Surface, refused: Refused) -> None:
    answer = TRIGGERS[refused](surface)

    assert refused == read_refusal(answer)
    assert set(REFUSALS[refused].details) == set(answer.json()["error"]["details"])
    assert str(surface.workspace.folder) not in answer.text
