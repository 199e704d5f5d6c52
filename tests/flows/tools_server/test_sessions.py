"""The command ``exemplars mcp`` as clients start it: by standard input and output, and over HTTP."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import httpx2
import pytest
from fakes.commands import commanding
from fakes.surface import PRIVATE
from fakes.workspace import HANDLE, MARK, ROOT, Workspace
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from flows.api.keys.keyring import issue_key

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-c", "from flows.cli.app import run; run()", "mcp")
CLIENT = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT}


@pytest.fixture
def variables(workspace: Workspace) -> dict[str, str]:
    """The environment of a server."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT_", "EXEMPLARS_"))}
    return {**ours, **workspace.variables, MARK: str(workspace.folder)}


def start(variables: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    """The server, which is asked by standard input or at what it announces."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, env=variables, stdin=pipe, stdout=pipe, text=True, start_new_session=True
    )


async def test_client_starts_it_and_nothing_is_left_of_it(workspace: Workspace, variables: dict[str, str]) -> None:
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


def test_signal_ends_it_while_it_waits_for_its_client(workspace: Workspace, variables: dict[str, str]) -> None:
    with start(variables) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(INITIALIZE) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        process.terminate()
        ended = process.wait(60), process.stdout.read()

    assert ("exemplars", (130, "")) == (answer["result"]["serverInfo"]["name"], ended)
    assert {} == workspace.wait_for_no_process(60)


async def test_http_needs_a_key_with_each_request(
    workspace: Workspace, variables: dict[str, str], tmp_path: Path
) -> None:
    path, told = tmp_path / "keys.json", []
    headers = {"Authorization": f"Bearer {issue_key(path, ['u22a8'], 'scoring', datetime.now(UTC))[1]}"}
    with start({**variables, "EXEMPLARS_KEYS_FILE": str(path)}, "--http") as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("The tools are at ").strip()
        async with httpx.AsyncClient(timeout=60) as plain:
            bare = await plain.post(url, json=INITIALIZE)
            elsewhere = await plain.get(url.replace("/mcp", "/.well-known/oauth-protected-resource"))
            foreign = await plain.post(url, json=INITIALIZE, headers={**headers, "Host": "example.org"})
        for mode in ("auto", "legacy"):
            async with (
                httpx2.AsyncClient(headers=headers, timeout=60) as sending,
                Client(streamable_http_client(url, http_client=sending), mode=mode) as client,
            ):
                samples = await client.call_tool("list_samples", {"handle": HANDLE, "limit": 1})
                refused = await client.call_tool("synthesize_samples", {"handle": HANDLE})
                told.append((len(samples.structured_content["items"]), refused.structured_content["error"]["code"]))
        process.send_signal(signal.SIGINT)
        code = process.wait(60)

    assert (401, "unauthorized") == (bare.status_code, bare.json()["error"]["code"])
    assert (404, 421) == (elsewhere.status_code, foreign.status_code)
    assert ([(1, "forbidden")] * 2, 0) == (told, code)
    assert {} == workspace.wait_for_no_process(60)


def test_what_cannot_be_served_is_one_message(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.enter(monkeypatch)
    with commanding(capsys) as command:
        port = command("mcp", "--port", "8001")
        monkeypatch.setenv("EXEMPLARS_MCP_KEY", "exm_0123456789ab_x")
        monkeypatch.setenv("EXEMPLARS_KEYS_FILE", str(tmp_path / "keys.json"))
        key = command("mcp")
        (tmp_path / "keys.json").touch(0o644)
        shared = command("mcp")
        monkeypatch.setenv("EXEMPLARS_KEYS_FILE", "s3://bucket/keys.json")
        place = command("mcp", "--http")

    assert [2, 2, 3, 2] == [said.code for said in (port, key, shared, place)]
    assert "--port is the port of --http" in port.message
    assert "EXEMPLARS_MCP_KEY is none of the keys" in key.message
    assert "exm_0123456789ab_x" not in key.message
    assert "chmod 600" in shared.message
    assert "keys are kept on a local disk" in place.message
