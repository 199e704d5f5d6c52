"""The tools, asked by clients of the protocol: what they answer and refuse, what a key permits, and the command."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from fakes.commands import commanding
from fakes.orchestrator import FakeOrchestrator
from fakes.stored import attach_set
from fakes.surface import ARCHIVED, BROKEN, PRIVATE, PUBLIC, SEEDED, fill_catalogue, read_settings_of
from fakes.workspace import HANDLE, Workspace, make_workspace
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.store.layout import REPORT
from flows.api.keys import issue_key

if TYPE_CHECKING:
    from fastmcp import Client

# Here and below fastmcp is imported where it is asked: each process that collects tests would take seconds for it.
PROGRAM = (str(Path(sys.executable).with_name("exemplars")), "mcp")
CHANGING = {"add_samples", "delete_sample", "synthesize_samples"}
READING = {"list_models", "get_model", "list_traits", "list_samples", "plan_synthesis", "get_run", "validate_model"}
ONE = {"trait": "clarity", "text": "Press the button.", "quality": 1}
OUTCOMES: dict[Any, str] = {
    "attached": "succeeded",
    "detached": "succeeded",
    "rejected": "failed",
    "proposed": "running",
}
Refusals = list[tuple[str, dict[str, Any], str]]
OF_ALL: Refusals = [
    ("get_model", {}, "Missing required arguments: handle"),
    *((tool, {"handle": ".."}, "invalid_handle: '..' is not") for tool in ("get_model", "validate_model")),
    ("list_samples", {"handle": HANDLE, "trait": "x"}, "trait_not_found: .* has no such trait"),
    ("synthesize_samples", {"handle": HANDLE, "efort": "low"}, "Unknown arguments: efort. Accepted: effort"),
    ("synthesize_samples", {"handle": HANDLE}, "orchestrator_unavailable: .* does not answer"),
    ("get_run", {"run_id": "x"}, "String should match pattern"),
    ("get_run", {"run_id": str(uuid4())}, "orchestrator_unavailable: .* does not answer"),
    ("plan_synthesis", {"handle": ARCHIVED}, "model_not_draft: .* is 'archived'"),
    ("validate_model", {"handle": "u22a8.none"}, "model_not_found: There is no model u22a8.none"),
]
OF_READER: Refusals = [
    ("synthesize_samples", {"handle": HANDLE}, "forbidden"),
    ("add_samples", {"handle": HANDLE, "samples": [ONE]}, "forbidden"),
    *(
        (tool, {"handle": PRIVATE}, "model_not_found: .* that this key may read")
        for tool in ("list_traits", "plan_synthesis", "validate_model")
    ),
    *(
        (tool, {"handle": PUBLIC}, "forbidden: .* not own the namespace")
        for tool in ("list_samples", "plan_synthesis", "validate_model")
    ),
]
OF_NOBODY: Refusals = [(tool, {"handle": HANDLE}, "unauthorized") for tool in ("list_traits", "validate_model")]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("tools") / "site")
    fill_catalogue(made)
    return made


@asynccontextmanager
async def open_client(
    workspace: Workspace, runs: FakeOrchestrator | None = None, **variables: str
) -> AsyncIterator["Client[Any]"]:
    from fastmcp import Client

    from flows.tools_server.server import make_server
    from flows.tools_server.sessions import identify

    settings = read_settings_of(workspace, variables)
    # Nothing listens there.
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        async with Client(make_server(settings, identify(settings), orchestrator=runs)) as client:
            yield client


async def call(client: "Client[Any]", tool: str, **arguments: Any) -> dict[str, Any]:
    answer = (await client.call_tool(tool, arguments)).structured_content
    assert answer is not None
    return answer


async def refuse(client: "Client[Any]", refusals: Refusals) -> None:
    from fastmcp.exceptions import ToolError

    for tool, arguments, said in refusals:
        with pytest.raises(ToolError, match=f"(?s){said}"):
            await client.call_tool(tool, arguments)


async def test_machines_user_reads_every_namespace_and_is_refused_in_the_words_of_the_api(workspace: Workspace) -> None:
    async with open_client(workspace, EXEMPLARS_SYNTH_MODEL="openai/gpt-4.1-mini") as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        samples = await call(client, "list_samples", handle=PRIVATE, limit=2)
        right, wrong = [await call(client, "validate_model", handle=handle) for handle in (HANDLE, BROKEN)]
        plan = await call(client, "plan_synthesis", handle=SEEDED, effort="low")
        cards = {card.name for card in await client.list_resources()}
        [card] = await client.read_resource(f"exemplars://models/{HANDLE}")
        await refuse(client, OF_ALL)
    reading = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
    asked = tools["synthesize_samples"].input_schema

    assert (READING, CHANGING) == (reading, tools.keys() - reading)
    assert (["handle"], ["handle", "synth_type", "effort"]) == (asked["required"], list(asked["properties"]))
    assert (2, True, [], False) == (len(samples["items"]), right["valid"], right["mistakes"], wrong["valid"])
    assert [(f"{BROKEN}/model.yaml", "traits")] == [(item["file"], item["field"]) for item in wrong["mistakes"]]
    assert 0 < plan["estimate"]["total"]["likely"]["cost_usd"] <= plan["estimate"]["total"]["most"]["cost_usd"]
    assert ("clarity", "positive", 4) == tuple(plan["quotas"][0][name] for name in ("trait", "pole", "wanted"))
    assert [] == list(workspace.samples.rglob("*"))
    assert {PRIVATE, HANDLE, BROKEN} < cards
    assert ("text/markdown", True) == (card.mime_type, f"# {HANDLE}" in getattr(card, "text", ""))


async def test_key_permits_here_what_it_permits_at_the_http_api_until_it_is_revoked(workspace: Workspace) -> None:
    from mcp.shared.exceptions import MCPError

    path = workspace.folder / "keys.json"
    _, secret = issue_key(path, ["u22a8"], "scoring", datetime.now(UTC))
    async with open_client(workspace, EXEMPLARS_KEYS_FILE=str(path), EXEMPLARS_MCP_KEY=secret) as client:
        await refuse(client, OF_READER)
        own = await call(client, "list_samples", handle=HANDLE, limit=1)
        cards = {card.name for card in await client.list_resources()}
        with pytest.raises(MCPError, match="model_not_found: There is no model"):
            await client.read_resource(f"exemplars://models/{PRIVATE}")
        path.write_text('{"keys": []}')
        await refuse(client, OF_NOBODY)
        with pytest.raises(MCPError, match="unauthorized"):
            await client.list_resources()

    assert (1, {HANDLE, PUBLIC}) == (len(own["items"]), cards & {HANDLE, PUBLIC, PRIVATE})


async def test_model_is_changed_and_its_run_told_by_prefect_and_then_by_its_set(tmp_path: Path) -> None:
    workspace, runs, seen = make_workspace(tmp_path / "site"), FakeOrchestrator(), []
    async with open_client(workspace, runs) as client:
        listed = await call(client, "list_models")
        added = await call(client, "add_samples", handle=HANDLE, samples=[ONE])
        deleted = await call(client, "delete_sample", handle=HANDLE, sample_id=added["ids"][0])
        run_id = (await call(client, "synthesize_samples", handle=HANDLE, effort="low"))["run_id"]
        model = await call(client, "get_model", handle=HANDLE)
        for state, share in (("SCHEDULED", 0.0), ("RUNNING", 0.5), ("FAILED", 0.75)):
            runs.progress[run_id] = share
            runs.set_state(run_id, state, "Flow run encountered an exception: BudgetError: It is spent.")
            run = await call(client, "get_run", run_id=run_id)
            seen.append((run["status"], run["progress"], run["error"]))
        for outcome, status in OUTCOMES.items():
            made = attach_set(workspace.samples, str(uuid4()), status=outcome, handle=HANDLE, documents={REPORT: "<p>"})
            told = await call(client, "get_run", run_id=made.run_id)
            assert (HANDLE, status, outcome) == (told["handle"], told["status"], told["outcome"])
            assert told["report"].endswith(f"{made.run_id}/{REPORT}")

    assert ([HANDLE], ["u22a8"]) == ([item["handle"] for item in listed["items"]], listed["namespaces"])
    assert (True, "busy") == (deleted["deleted"], model["state"])
    assert [("queued", 0.0, None), ("running", 0.5, None), ("failed", None, "It is spent.")] == seen


@pytest.mark.slow
def test_requests_are_answered_on_standard_output_and_nothing_else_stands_there(workspace: Workspace) -> None:
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked = {
        "initialize": client,
        "tools/call": {"name": "list_traits", "arguments": {"handle": PRIVATE}},
        "none/such": {},
    }
    requests = [{"jsonrpc": "2.0", "id": name, "method": name, "params": params} for name, params in asked.items()]
    # What is no message, before the client's first request and after it.
    stray = ("garbage", '{"id": 1}')
    lines = [*stray, json.dumps(requests[0]), *stray, *map(json.dumps, requests[1:])]
    environment, pipe = {**os.environ, **workspace.variables}, subprocess.PIPE
    with subprocess.Popen(PROGRAM, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("\n".join([*lines, ""]))
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in lines]
        rest, log = process.communicate(timeout=60)

    refused = Counter((told["error"]["code"], told["id"]) for told in answers if "error" in told)

    assert {(-32700, None): 2, (-32600, None): 2, (-32601, "none/such"): 1} == refused
    assert {"initialize", "tools/call"} == {told["id"] for told in answers if "result" in told}
    assert (0, "", True, False) == (process.returncode, rest, "/traits 200" in log, "Traceback" in log)


@pytest.mark.slow
async def test_http_needs_a_key_with_each_request(workspace: Workspace, tmp_path: Path) -> None:
    from fastmcp import Client

    path = tmp_path / "keys.json"
    _, secret = issue_key(path, ["u22a8"], "scoring", datetime.now(UTC))
    headers = {"Authorization": f"Bearer {secret}", "Host": "example.org"}
    with workspace.start("--http", program=PROGRAM, EXEMPLARS_KEYS_FILE=str(path)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("The tools are at ").strip()
        async with httpx.AsyncClient(timeout=60) as plain:
            refused = [(await plain.post(url, json={}, headers=given)).status_code for given in ({}, headers)]
        async with Client(url, auth=secret) as client:
            await call(client, "list_samples", handle=HANDLE, limit=1)
            await refuse(client, OF_READER[:1])
        process.send_signal(signal.SIGINT)
        code = process.wait(60)

    assert ([401, 421], 0, {}) == (refused, code, workspace.wait_for_no_process(60))


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
        # As where the extra is not installed.
        monkeypatch.setitem(sys.modules, "fastmcp", None)
        missing = command("mcp")

    assert [2, 2, 3, 2, 2] == [said.code for said in (port, key, shared, place, missing)]
    assert "EXEMPLARS_MCP_KEY is none of the keys" in key.message
    assert "exm_0123456789ab_x" not in key.message
    assert "need fastmcp, which is not installed here. 'make install' brings it" in missing.message
