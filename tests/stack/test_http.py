"""The HTTP API on the real stack: requests of the contract, callers at once, and kills."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
from fakes.provider import Behaviour
from fakes.set_events import read_set_events
from fakes.stack import Stack
from fakes.surface import UNKNOWN, list_all, read_refusal
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, LEVEL

from flows.api.keys import issue_key

QUOTA = int(str(LEVEL["exemplars_per_pole"]))
CALLERS, WAIT_SECONDS = 20, 300.0
ONE = {"trait": "clarity", "text": "Hang the rake up with its teeth to the wall.", "quality": 1}


def ask(client: httpx.Client, handle: str, **body: object) -> httpx.Response:
    return client.post(f"/models/{handle}/samples/synthesize", json={"effort": "low", **body})


def begin(stack: Stack, handle: str) -> str:
    stack.provider.behaviour = Behaviour(hold_after=5)
    answer = ask(stack.author, handle)
    assert 202 == answer.status_code, answer.text
    wait_until(lambda: stack.provider.in_flight, WAIT_SECONDS, "the run asks the provider")
    return str(answer.json()["run_id"])


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


def test_program_follows_its_run_and_lists_and_deletes_what_it_made(stack: Stack, handle: str) -> None:
    run_id = begin(stack, handle)
    again, other = ask(stack.author, handle), ask(stack.author, handle, effort="high")
    added = stack.author.post(f"/models/{handle}/samples", json={"samples": [ONE]})
    running = read_model(stack, handle)
    stack.provider.behaviour = Behaviour()
    seen = wait_until_over(stack, handle)
    samples = list_synthesized(stack, handle)
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


def test_of_twenty_requests_at_one_instant_one_makes_a_run(stack: Stack, handle: str) -> None:
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda _: ask(stack.author, handle), range(CALLERS)))
    [made] = [answer.json()["run_id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    wait_until_over(stack, handle)

    assert {(409, "already_running")} == {read_refusal(answer) for answer in refused}
    assert {made} == {answer.headers["X-Run-Id"] for answer in refused}
    assert [made] == stack.list_runs(handle)


def test_run_outlives_the_door_and_a_run_that_is_killed_frees_its_model(stack: Stack, handle: str) -> None:
    first = begin(stack, handle)
    port = int(stack.http_api.url.removesuffix("/v1").rpartition(":")[2])
    stack.http_api.kill()
    stack.http_api.start(port)
    between = read_model(stack, handle)
    stack.site.kill("flows")
    killed = stack.wait_for_end(first)
    wait_until_over(stack, handle)
    stack.provider.behaviour = Behaviour()
    answer = ask(stack.author, handle)
    last = wait_until_over(stack, handle)[-1]

    assert ("busy", first, "running") == tell(between)
    assert "CRASHED" == killed[0]
    assert 202 == answer.status_code, answer.text
    assert ("draft", answer.json()["run_id"], "succeeded") == tell(last)
    assert 4 * QUOTA == len(list_synthesized(stack, handle))


def test_run_that_is_cancelled_calls_nobody_any_more_and_frees_its_model(stack: Stack, handle: str) -> None:
    run_id = begin(stack, handle)
    stack.site.set_state(run_id, "CANCELLING")
    wait_until(lambda: stack.provider.count_connections() == 0, WAIT_SECONDS, "its connections are closed")
    ended = stack.wait_for_end(run_id)
    last = wait_until_over(stack, handle)[-1]

    assert "CANCELLED" == ended[0]
    assert ("draft", run_id, "cancelled") == tell(last)
    assert [] == list_synthesized(stack, handle)
