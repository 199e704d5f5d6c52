"""The HTTP API on the real stack: requests of the contract, callers at once, and kills."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import yaml
from fakes.blocks import find_blocks
from fakes.provider import Behaviour
from fakes.set_events import read_set_events
from fakes.stack import RUN_SECONDS, Stack
from fakes.surface import UNKNOWN, list_all, read_refusal
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, LEVEL, ROOT, count_poles, read_kept, read_manifest

from flows.api.keys import issue_key

QUOTA = int(str(LEVEL["exemplars_per_pole"]))
CALLERS, WAIT_SECONDS = 20, 300.0
ONE = {"trait": "clarity", "text": "Hang the rake up with its teeth to the wall.", "quality": 1}


def ask(client: httpx.Client, handle: str, **body: object) -> httpx.Response:
    return client.post(f"/models/{handle}/samples/synthesize", json={"effort": "low", **body})


def begin(stack: Stack, handle: str) -> str:
    """The id of the run of which many callers have asked for one at one instant; it waits for the provider."""
    stack.provider.behaviour = Behaviour(hold_after=5)
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda _: ask(stack.author, handle), range(CALLERS)))
    [made] = [answer.json()["run_id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert {(409, "already_running")} == {read_refusal(answer) for answer in refused}
    assert {made} == {answer.headers["X-Run-Id"] for answer in refused}
    wait_until(lambda: stack.provider.in_flight, WAIT_SECONDS, "the run asks the provider")
    return str(made)


def read_model(stack: Stack, handle: str) -> dict[str, Any]:
    model: dict[str, Any] = stack.author.get(f"/models/{handle}").json()
    return model


def tell(model: dict[str, Any]) -> tuple[str, str, str]:
    return model["state"], model["last_operation"]["run_id"], model["last_operation"]["status"]


def wait_until_over(stack: Stack, handle: str) -> list[dict[str, Any]]:
    """What the model said of itself until it was free, the last word last."""
    seen = [read_model(stack, handle)]

    def is_free() -> bool:
        seen.append(read_model(stack, handle))
        return bool(seen[-1]["state"] != "busy")

    wait_until(is_free, WAIT_SECONDS, "the model is free")
    return seen


def list_synthesized(stack: Stack, handle: str) -> list[dict[str, Any]]:
    items = list_all(stack.author, f"/models/{handle}/samples", limit=5)
    return [item for item in items if item["provenance"] == "synthesized"]


@pytest.fixture
def training(stack: Stack) -> Iterator[str]:
    """The id of a deployment that the automation of the guide starts, and that no worker takes runs of."""
    site, document = stack.site, (ROOT / "docs/guides/events.md").read_text()
    [block] = [block for block in find_blocks(document) if block.language == "yaml"]
    flow = site.ask("POST", "/flows/", name="train")["id"]
    deployment = str(site.ask("POST", "/deployments/", name="on-attached", flow_id=flow)["id"])
    automation = yaml.safe_load(block.text)
    automation["actions"][0]["deployment_id"] = deployment
    made = site.ask("POST", "/automations/", **automation)["id"]
    yield deployment
    site.ask("DELETE", f"/automations/{made}")
    site.ask("DELETE", f"/deployments/{deployment}")


def test_program_follows_its_run_which_starts_a_training_and_lists_and_deletes_what_it_made(
    stack: Stack, handle: str, training: str
) -> None:
    run_id = begin(stack, handle)
    again, other = ask(stack.author, handle), ask(stack.author, handle, effort="high")
    added = stack.author.post(f"/models/{handle}/samples", json={"samples": [ONE]})
    running = read_model(stack, handle)
    stack.provider.behaviour = Behaviour()
    seen = wait_until_over(stack, handle)
    samples, folder = list_synthesized(stack, handle), stack.workspace.find_set(run_id)
    begun = {"deployments": {"id": {"any_": [training]}}}
    wait_until(lambda: stack.site.ask("POST", "/flow_runs/filter", **begun), 60, "a training has begun")
    [trained] = stack.site.ask("POST", "/flow_runs/filter", **begun)
    # Somebody starts the finished run again.
    asked, before = stack.provider.calls.total(), read_manifest(folder)
    stack.site.set_state(run_id, "SCHEDULED")
    wait_until(lambda: "Nothing is asked again" in stack.read_logs(run_id), RUN_SECONDS, "it says that it is done")
    again_ended = stack.wait_for_end(run_id)[0]
    after, kept = (stack.provider.calls.total(), read_manifest(folder)), read_kept(folder)
    deleted = stack.author.delete(f"/models/{handle}/samples/{samples[0]['id']}")
    events = read_set_events(stack.site.url, stack.workspace.samples / f"handle={handle}", 2)

    assert [(409, "already_running"), (409, "model_busy"), (409, "model_busy")] == [
        read_refusal(answer) for answer in (again, other, added)
    ]
    assert {run_id} == {answer.headers["X-Run-Id"] for answer in (again, other, added)}
    assert ("busy", run_id, "running") == tell(running)
    assert ("draft", run_id, "succeeded") == tell(seen[-1])
    assert (1.0, None) == (seen[-1]["last_operation"]["progress"], seen[-1]["last_operation"]["error"])
    shares = [model["last_operation"]["progress"] for model in seen]
    assert sorted(shares) == shares
    assert 4 * QUOTA == len({item["id"] for item in samples})
    assert {QUOTA} == set(count_poles(kept).values())
    assert 200 == stack.author.get(f"/runs/{run_id}/report").status_code
    assert {"handle": handle, "run_id": run_id} == trained["parameters"]
    assert ("COMPLETED", (asked, before)) == (again_ended, after)
    assert 200 == deleted.status_code
    assert 4 * QUOTA - 1 == len(list_synthesized(stack, handle))
    assert ["exemplars.set.attached", "exemplars.set.removed"] == [event["event"] for event in events]
    assert stack.http_api.secret not in (stack.workspace.folder / "http_api.log").read_text()


def test_requests_are_refused_as_the_contract_has_it(stack: Stack) -> None:
    now, keys = datetime.now(UTC), stack.workspace.folder / "keys.json"
    issued = (issue_key(keys, *owner, now)[1] for owner in ((["u22a8"], "scoring"), (["acme"], "authoring")))
    nobody, reader, stranger = (stack.http_api.open_client(secret) for secret in ("none", *issued))
    refused = [
        nobody.get("/models"),
        ask(reader, HANDLE),
        ask(stranger, HANDLE),
        stack.author.get(f"/models/{UNKNOWN}"),
        ask(stack.author, HANDLE, synth_type="enrich"),
        stack.author.post(f"/models/{HANDLE}/samples/synthesize", content=b"{"),
        stack.author.post(f"/models/{HANDLE}/samples/synthesize", content=b"x" * 70_000),
        stack.author.get("/models/Technical%20Writing"),
        stack.author.put(f"/models/{HANDLE}/samples"),
    ]

    assert [
        (401, "unauthorized"),
        (403, "forbidden"),
        (403, "forbidden"),
        (404, "model_not_found"),
        (422, "invalid_request"),
        (400, "invalid_json"),
        (413, "body_too_large"),
        (422, "invalid_handle"),
        (405, "method_not_allowed"),
    ] == [read_refusal(answer) for answer in refused]
    assert "text/html" in httpx.get(f"{stack.http_api.url}/docs").headers["Content-Type"]


def test_run_outlives_the_door_and_one_that_is_killed_or_cancelled_frees_its_model(stack: Stack, handle: str) -> None:
    first = begin(stack, handle)
    port = int(stack.http_api.url.removesuffix("/v1").rpartition(":")[2])
    stack.http_api.kill()
    stack.http_api.start(port)
    between = read_model(stack, handle)
    stack.site.kill("flows")
    killed = stack.wait_for_end(first)
    failed = wait_until_over(stack, handle)[-1]
    stack.provider.behaviour = Behaviour()
    wait_until(lambda: stack.provider.in_flight == 0, WAIT_SECONDS, "the killed run's calls are gone")
    second = begin(stack, handle)
    stack.site.set_state(second, "CANCELLING")
    wait_until(lambda: stack.provider.count_connections() == 0, WAIT_SECONDS, "its connections are closed")
    cancelled = stack.wait_for_end(second)
    last = wait_until_over(stack, handle)[-1]

    assert ("busy", first, "running") == tell(between)
    assert ("CRASHED", "CANCELLED") == (killed[0], cancelled[0])
    assert ("failed", first) == tell(failed)[:2]
    assert ("draft", second, "cancelled") == tell(last)
    assert [first, second] == sorted(stack.list_runs(handle), key=[first, second].index)
    assert [] == list_synthesized(stack, handle)
