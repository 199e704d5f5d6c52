"""The tools in a session of the SDK's own client: schemas, answers, refusals, what a key permits, and the command."""

import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from fakes.agent import open_agent
from fakes.commands import commanding
from fakes.orchestrator import FakeOrchestrator
from fakes.stored import attach_set
from fakes.surface import ARCHIVED, BROKEN, PRIVATE, PUBLIC, SEEDED, ask_as, fill_catalogue, read_settings_of
from fakes.workspace import HANDLE, MARK, ROOT, Workspace, make_workspace
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS
from prefect.context import _temporary_global_settings_context, get_settings_context
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.store.layout import REPORT
from flows.api.app import make_app
from flows.api.keys.keyring import issue_key
from flows.tools_server.door import FURTHER
from flows.tools_server.identity import identify
from flows.tools_server.tools import TOOLS

TOLD_BY_THE_SET: list[tuple[Any, str, str]] = [
    ("attached", "succeeded", "list_samples lists"),
    ("detached", "succeeded", "taken off the model"),
    ("rejected", "failed", "Replies are kept"),
    ("proposed", "running", "A person has to review"),
]
TOLD = ("run_id", "handle", "status", "outcome")
ONE = {"trait": "clarity", "text": "Press the button.", "quality": 1}
REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("get_model", {"handle": ""}, "invalid_handle", "'' is not a handle"),
    ("get_model", {}, "invalid_request", "handle is missing"),
    ("list_traits", {"handle": "u22a8/x"}, "not_found", "a slash or a line break in it is encoded"),
    ("list_samples", {"handle": HANDLE, "trait": "x"}, "trait_not_found", "has no such trait"),
    ("list_samples", {"handle": HANDLE, "trait": {}}, "invalid_request", "trait is an object. Send a text"),
    ("add_samples", {"handle": HANDLE, "samples": [ONE, {**ONE, "quality": 2}]}, "invalid_request", "Sample 1"),
    ("delete_sample", {"handle": HANDLE, "sample_id": 5.0}, "sample_not_found", "has no such sample"),
    ("synthesize_samples", {"handle": HANDLE, "efort": "low"}, "invalid_request", "has no argument 'efort'"),
    ("synthesize_samples", {"handle": HANDLE}, "orchestrator_unavailable", "does not answer"),
    ("get_run", {"run_id": "x"}, "not_found", "There is no run x"),
    ("plan_synthesis", {"handle": HANDLE, "effort": "huge"}, "invalid_request", "effort is 'huge'"),
    ("plan_synthesis", {"handle": ARCHIVED}, "model_not_draft", "is archived"),
]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("tools") / "site")
    fill_catalogue(made)
    return made


@pytest.fixture(autouse=True)
def prefect_is_away() -> Iterator[None]:
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        # Also where the context is none of this fixture's.
        _temporary_global_settings_context(get_settings_context()),
    ):
        yield


async def test_machines_user_reads_tools_samples_mistakes_and_cards_of_every_namespace(workspace: Workspace) -> None:
    async with open_agent(read_settings_of(workspace)) as agent:
        tools = {tool.name: tool for tool in (await agent.client.list_tools()).tools}
        samples = await agent.call("list_samples", handle=PRIVATE, trait="clarity", limit=2)
        right, wrong = [await agent.call("validate_model", handle=handle) for handle in (HANDLE, BROKEN)]
        listed = {card.uri: card for card in (await agent.client.list_resources()).resources}
        [template] = (await agent.client.list_resource_templates()).resource_templates
        [card] = (await agent.client.read_resource(f"exemplars://models/{HANDLE}")).contents
        with pytest.raises(MCPError, match="There is no resource") as refused:
            await agent.client.read_resource("exemplars://runs/1")
        assert (agent.client.instructions or "").endswith("This session reads and changes every namespace.")
    for tool in tools.values():
        for schema in (tool.input_schema, tool.output_schema):
            assert schema is not None
            Draft202012Validator.check_schema(schema)
            assert "components" not in str(schema)
        assert all(told.get("description") for told in tool.input_schema["properties"].values()), tool.name
    asked, adding = (tools[name].input_schema for name in ("synthesize_samples", "add_samples"))
    changing = {name for name, tool in tools.items() if tool.annotations and not tool.annotations.read_only_hint}

    assert {tool.name for tool in TOOLS} == set(tools)
    assert (["handle"], ["handle", "synth_type", "effort"]) == (asked["required"], list(asked["properties"]))
    assert ["trait", "text", "quality"] == adding["properties"]["samples"]["items"]["required"]
    assert {"add_samples", "delete_sample", "synthesize_samples"} == changing
    assert (2, True, [], False) == (len(samples["items"]), right["valid"], right["mistakes"], wrong["valid"])
    assert [(f"{BROKEN}/model.yaml", "traits")] == [(item["file"], item["field"]) for item in wrong["mistakes"]]
    assert {PRIVATE, HANDLE, BROKEN} < {card.name for card in listed.values()}
    assert "exemplars://models/{handle}" == template.uri_template
    assert ("text/markdown", True) == (card.mime_type, f"# {HANDLE}" in getattr(card, "text", ""))
    assert INVALID_PARAMS == refused.value.code


async def test_refusal_has_the_code_and_the_words_of_the_door(workspace: Workspace) -> None:
    async with open_agent(read_settings_of(workspace)) as agent:
        for tool, arguments, code, said in REFUSALS:
            error = await agent.fail(tool, **arguments)
            assert (code, True) == (error["code"], said in error["message"]), error


async def test_key_permits_here_what_it_permits_at_the_door_until_it_is_revoked(workspace: Workspace) -> None:
    path = workspace.folder / "keys.json"
    _, secret = issue_key(path, ["u22a8"], "scoring", datetime.now(UTC))
    reader = read_settings_of(workspace, {"EXEMPLARS_KEYS_FILE": str(path), "EXEMPLARS_MCP_KEY": secret})
    asked: list[tuple[str, dict[str, Any], str]] = [
        ("synthesize_samples", {"handle": HANDLE}, "forbidden"),
        ("add_samples", {"handle": HANDLE, "samples": [ONE]}, "forbidden"),
        ("list_traits", {"handle": PRIVATE}, "model_not_found"),
        *((tool, {"handle": PUBLIC}, "forbidden") for tool in ("list_samples", "plan_synthesis", "validate_model")),
    ]
    async with open_agent(reader) as agent:
        codes = [(await agent.fail(tool, **arguments))["code"] for tool, arguments, _ in asked]
        own = await agent.call("list_samples", handle=HANDLE, limit=1)
        cards = {card.name for card in (await agent.client.list_resources()).resources}
        with pytest.raises(MCPError, match="model_not_found: There is no model"):
            await agent.client.read_resource(f"exemplars://models/{PRIVATE}")
        path.write_text('{"keys": []}')
        revoked = await agent.fail("list_traits", handle=HANDLE)
    # This machine's own user is found by its own secret alone.
    machine = identify(read_settings_of(workspace))

    assert [code for _, _, code in asked] == codes
    assert ("unauthorized", 1) == (revoked["code"], len(own["items"]))
    assert ({HANDLE, PUBLIC}, set()) == (cards & {HANDLE, PUBLIC}, cards & {PRIVATE})
    assert (None, False) == (machine.find_key("exm_000000000000_x\udc80"), machine.secret in repr(machine))


async def test_plan_tells_the_cost_and_writes_nothing(workspace: Workspace) -> None:
    priced = read_settings_of(workspace, {"EXEMPLARS_SYNTH_MODEL": "openai/gpt-4.1-mini"})
    async with open_agent(priced) as agent:
        plan = await agent.call("plan_synthesis", handle=SEEDED, effort="low")

    assert 0 < plan["cost_usd"]["likely"] <= plan["cost_usd"]["most"]
    assert ("clarity", "positive", 4) == tuple(plan["quotas"][0][name] for name in ("trait", "pole", "wanted"))
    assert "synthesize_samples" in plan["next"]
    assert [] == list(workspace.samples.rglob("*"))


def test_run_is_told_by_prefect_while_it_is_under_way_and_by_its_set_afterwards(tmp_path: Path) -> None:
    settings, runs = read_settings_of(make_workspace(tmp_path / "site")), FakeOrchestrator()
    identity = identify(settings)
    app = make_app(settings, find_key=identity.find_key, further=FURTHER, orchestrator=runs)
    app.state.settings = settings
    run_id, seen, samples = runs.add_run(handle=HANDLE, effort="low"), [], tmp_path / "site/samples"
    with start_blocking_portal() as portal:
        client = ask_as(app, portal, identity.secret)
        for state, share in (("SCHEDULED", 0.0), ("RUNNING", 0.5), ("FAILED", 0.75)):
            runs.progress[run_id] = share
            runs.set_state(run_id, state, "Flow run encountered an exception: BudgetError: It is spent.")
            seen.append(client.get(f"/runs/{run_id}").json())
        for outcome, status, said in TOLD_BY_THE_SET:
            made = attach_set(samples, str(uuid4()), status=outcome, handle=HANDLE, documents={REPORT: "<p>"})
            run = client.get(f"/runs/{made.run_id}").json()
            assert (made.run_id, HANDLE, status, outcome) == tuple(run[name] for name in TOLD)
            assert said in run["next"]
            assert run["report"].endswith(f"{made.run_id}/{REPORT}")

    assert [
        ("queued", 0.0, None, "Ask again"),
        ("running", 0.5, None, "Ask again"),
        ("failed", None, "It is spent.", "Nothing w"),
    ] == [(run["status"], run["progress"], run["error"], run["next"][:9]) for run in seen]
    assert ("low", None, None) == (seen[0]["effort"], seen[0]["outcome"], seen[0]["report"])


@pytest.mark.slow
async def test_client_starts_it_and_nothing_is_left_of_it(workspace: Workspace) -> None:
    variables = {**workspace.variables, MARK: str(workspace.folder)}
    program = StdioServerParameters(command=str(ROOT / ".venv/bin/exemplars"), args=["mcp"], env=variables)
    log = workspace.folder / "tools.log"
    with log.open("w") as errors:
        async with Client(stdio_client(program, errors), mode="legacy") as client:
            tools = (await client.list_tools()).tools
            traits = (await client.call_tool("list_traits", {"handle": PRIVATE})).structured_content

    assert (10, ["clarity", "safety"]) == (len(tools), [trait["key"] for trait in traits["traits"]])
    assert {} == workspace.wait_for_no_process(60)
    assert f"GET /v1/models/{PRIVATE}/traits 200" in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.slow
async def test_http_needs_a_key_with_each_request(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    headers = {"Authorization": f"Bearer {issue_key(path, ['u22a8'], 'scoring', datetime.now(UTC))[1]}"}
    program = (sys.executable, "-m", "exemplars", "mcp")
    with workspace.start("--http", program=program, EXEMPLARS_KEYS_FILE=str(path)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("The tools are at ").strip()
        async with httpx.AsyncClient(timeout=60) as plain:
            bare = await plain.post(url, json={})
            foreign = await plain.post(url, json={}, headers={**headers, "Host": "example.org"})
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as sending,
            Client(streamable_http_client(url, http_client=sending)) as client,
        ):
            samples = await client.call_tool("list_samples", {"handle": HANDLE, "limit": 1})
            refused = await client.call_tool("synthesize_samples", {"handle": HANDLE})
        process.send_signal(signal.SIGINT)
        code = process.wait(60)

    assert (401, "unauthorized", 421) == (bare.status_code, bare.json()["error"]["code"], foreign.status_code)
    assert (1, "forbidden") == (len(samples.structured_content["items"]), refused.structured_content["error"]["code"])
    assert (0, {}) == (code, workspace.wait_for_no_process(60))


@pytest.mark.slow
def test_what_cannot_be_served_is_one_message(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.enter(monkeypatch)
    monkeypatch.setenv("EXEMPLARS_MCP_KEY", "exm_0123456789ab_x")
    monkeypatch.setenv("EXEMPLARS_KEYS_FILE", str(tmp_path / "keys.json"))
    with commanding(capsys) as command:
        port, key = command("mcp", "--port", "8001"), command("mcp")
        (tmp_path / "keys.json").touch(0o644)
        shared = command("mcp")
        monkeypatch.setenv("EXEMPLARS_KEYS_FILE", "s3://bucket/keys.json")
        place = command("mcp", "--http")

    assert [2, 2, 3, 2] == [said.code for said in (port, key, shared, place)]
    assert "EXEMPLARS_MCP_KEY is none of the keys" in key.message
    assert "exm_0123456789ab_x" not in key.message
