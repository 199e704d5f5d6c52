"""A whole synthesis as a program meets it: ask, wait, list; with a real worker, and a provider on loopback."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fakes.agent import Agent, open_agent, read_settings_of
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.surface import SEEDED, Surface, open_surface
from fakes.workspace import LEVEL
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.store.layout import REPORT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATH = f"/models/{SEEDED}"
QUOTA = int(str(LEVEL["exemplars_per_pole"]))


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serve_provider() as served:
        yield served


@pytest.fixture(scope="module")
def working(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surface]:
    """The surface with a worker that takes runs."""
    with open_surface(tmp_path_factory.mktemp("whole") / "site", provider) as surface:
        surface.site.start_worker()
        yield surface


def synthesize(client: httpx.Client, synth_type: str) -> str:
    """Asks for a synthesis and returns its run id."""
    answer = client.post(f"{PATH}/samples/synthesize", json={"synth_type": synth_type, "effort": "low"})
    assert 202 == answer.status_code, answer.text
    return str(answer.json()["run_id"])


def wait_until_over(client: httpx.Client) -> list[dict[str, Any]]:
    """What the model said of itself until its run had ended, the last word last."""
    seen = [client.get(PATH).json()]
    end = time.monotonic() + 120
    while seen[-1]["state"] == "busy":
        assert time.monotonic() < end, seen[-1]
        time.sleep(0.4)
        seen.append(client.get(PATH).json())
    return seen


def list_synthesized(client: httpx.Client) -> list[dict[str, Any]]:
    """The synthesized samples, page by page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"limit": 5} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"{PATH}/samples", params=query).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return [item for item in items if item["provenance"] == "synthesized"]


def test_program_gets_the_samples_that_it_asked_for(working: Surface, provider: Provider) -> None:
    client = working.author
    provider.behaviour = Behaviour(hold_after=5)
    run_id = synthesize(client, "from_traits")
    again = client.post(f"{PATH}/samples/synthesize", json={"effort": "low"})
    while provider.in_flight == 0:
        time.sleep(0.05)
    running = client.get(PATH).json()
    provider.behaviour = Behaviour(seconds=0.5)
    seen = wait_until_over(client)
    samples = list_synthesized(client)
    traits = {trait["key"]: trait for trait in client.get(f"{PATH}/traits").json()["traits"]}

    assert (409, run_id) == (again.status_code, again.headers["X-Run-Id"])
    assert ("busy", run_id, "running") == (
        running["state"],
        running["last_operation"]["run_id"],
        running["last_operation"]["status"],
    )
    assert ("draft", run_id, "succeeded", 1.0, None) == (
        seen[-1]["state"],
        *(seen[-1]["last_operation"][name] for name in ("run_id", "status", "progress", "error")),
    )
    shares = [model["last_operation"]["progress"] for model in seen]
    assert sorted(shares) == shares
    assert {(trait, quality): QUOTA for trait in ("clarity", "safety") for quality in (0.0, 1.0)} == Counter(
        (item["trait"], item["quality"]) for item in samples
    )
    assert len(samples) == len({item["id"] for item in samples})
    assert {True} == {item["created_at"].endswith("Z") for item in samples}
    authored = 6
    assert {authored + 2 * QUOTA} == {trait["sample_count"] for trait in traits.values()}
    assert 200 == client.get(f"/runs/{run_id}/report").status_code


def test_diversify_follows_and_enrich_is_refused(working: Surface, provider: Provider) -> None:
    client = working.author
    provider.behaviour = Behaviour()
    before = {item["id"] for item in list_synthesized(client)}
    refused = client.post(f"{PATH}/samples/synthesize", json={"synth_type": "enrich"})
    run_id = synthesize(client, "diversify")
    last = wait_until_over(client)[-1]["last_operation"]
    after = list_synthesized(client)

    assert 422 == refused.status_code
    assert (run_id, "succeeded") == (last["run_id"], last["status"]), last
    assert 4 * QUOTA == len(after) - len(before)
    assert before < {item["id"] for item in after}


def test_failed_run_says_why_and_the_model_can_be_synthesized_again(working: Surface, provider: Provider) -> None:
    client = working.author
    provider.behaviour = Behaviour(status=401)
    run_id = synthesize(client, "from_traits")
    failed = wait_until_over(client)[-1]
    provider.behaviour = Behaviour()
    synthesize(client, "from_traits")
    recovered = wait_until_over(client)[-1]

    assert ("failed", run_id, "failed") == (
        failed["state"],
        failed["last_operation"]["run_id"],
        failed["last_operation"]["status"],
    )
    assert "key" in failed["last_operation"]["error"]
    assert "sk-test" not in failed["last_operation"]["error"]
    assert str(working.door.workspace.folder) not in failed["last_operation"]["error"]
    assert ("draft", "succeeded") == (recovered["state"], recovered["last_operation"]["status"])


async def test_agent_gets_the_samples_that_it_asked_for(working: Surface, provider: Provider) -> None:
    """By the tools, in a session of the SDK's own client."""
    provider.behaviour = Behaviour()
    text = "Hang the rake up with its teeth to the wall."
    settings = read_settings_of(working.door.workspace)
    with temporary_settings({PREFECT_API_URL: working.site.url}):
        async with open_agent(settings) as agent:
            listed = await agent.call("list_models", limit=250)
            sample = {"trait": "Clarity", "text": text, "quality": 1, "labels": ["x"]}
            added = await agent.call("add_samples", handle=SEEDED, samples=[sample])
            begun = await agent.call("synthesize_samples", handle=SEEDED, effort="low")
            again = await agent.fail("synthesize_samples", handle=SEEDED, effort="low")
            run = await follow(agent, begun["run_id"])
            model = await agent.call("get_model", handle=SEEDED)
            page = await agent.call("list_samples", handle=SEEDED, limit=500)
            deleted = await agent.call("delete_sample", handle=SEEDED, sample_id=added["ids"][0])
            unknown = await agent.fail("get_run", run_id=str(uuid4()))

    assert {"acme", "live", "u22a8"} == set(listed["namespaces"])
    assert SEEDED in {item["handle"] for item in listed["items"]}
    assert ["samples.labels"] == added["ignored_fields"]
    assert ("busy", True) == (begun["state"], begun["run_id"] in begun["next"])
    assert ("already_running", begun["run_id"]) == (again["code"], again["details"]["run_id"])
    assert ("succeeded", "attached", 1.0) == (run["status"], run["outcome"], run["progress"]), run
    assert {trait: {"positive": QUOTA, "negative": QUOTA} for trait in ("clarity", "safety")} == run["counts"]
    assert str(working.site.workspace.find_set(begun["run_id"]) / REPORT) == run["report"]
    assert begun["run_id"] == model["last_operation"]["run_id"]
    assert [text] == [item["text"] for item in page["items"] if item["id"] == added["ids"][0]]
    assert {"handle": SEEDED, "deleted": True} == deleted
    assert "not_found" == unknown["code"]


async def follow(agent: Agent, run_id: str) -> dict[str, Any]:
    """What a run says of itself when it is over."""
    async with asyncio.timeout(120):
        while True:
            run: dict[str, Any] = await agent.call("get_run", run_id=run_id)
            if run["status"] not in ("queued", "running"):
                return run
            await asyncio.sleep(0.4)
