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
from fakes.surface import PRIVATE
from fakes.workspace import HANDLE, MARK, ROOT, Workspace
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from flows.api.keys.keyring import issue_key
from flows.cli.app import main

pytestmark = pytest.mark.slow

COMMAND = ("-c", "from flows.cli.app import run; run()", "mcp")
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


@pytest.fixture
def variables(workspace: Workspace) -> dict[str, str]:
    """The environment of a server."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT_", "EXEMPLARS_"))}
    return {**ours, **workspace.variables, MARK: str(workspace.folder)}


def start(variables: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    """The server, which is asked by standard input or at what it announces."""
    return subprocess.Popen(
        [sys.executable, *COMMAND, *arguments],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


async def test_client_starts_it_and_nothing_is_left_of_it(workspace: Workspace, variables: dict[str, str]) -> None:
    program = str(ROOT / ".venv/bin/exemplars")
    log = workspace.folder / "tools.log"
    with log.open("w") as errors:
        started = stdio_client(StdioServerParameters(command=program, args=["mcp"], env=variables), errors)
        async with Client(started, mode="legacy") as client:
            version = client.server_info.version if client.server_info else ""
            tools = (await client.list_tools()).tools
            traits = (await client.call_tool("list_traits", {"handle": PRIVATE})).structured_content

    assert version
    assert 10 == len(tools)
    assert ["clarity", "safety"] == [trait["key"] for trait in traits["traits"]]
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
        code = process.wait(60)
        rest = process.stdout.read()

    assert "exemplars" == answer["result"]["serverInfo"]["name"]
    assert (130, "") == (code, rest)
    assert {} == workspace.wait_for_no_process(60)


async def test_http_needs_a_key_with_each_request(
    workspace: Workspace, variables: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    _, secret = issue_key(path, ["u22a8"], "scoring", datetime.now(UTC))
    with start({**variables, "EXEMPLARS_KEYS_FILE": str(path)}, "--http") as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("The tools are at ").strip()
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(timeout=60) as plain:
            bare = await plain.post(url, json=INITIALIZE)
            elsewhere = await plain.get(url.replace("/mcp", "/.well-known/oauth-protected-resource"))
            foreign = await plain.post(url, json=INITIALIZE, headers={**headers, "Host": "example.org"})
        modes = {}
        for mode in ("auto", "legacy"):
            async with (
                httpx2.AsyncClient(headers=headers, timeout=60) as sending,
                Client(streamable_http_client(url, http_client=sending), mode=mode) as client,
            ):
                samples = await client.call_tool("list_samples", {"handle": HANDLE, "limit": 1})
                refused = await client.call_tool("synthesize_samples", {"handle": HANDLE})
                hidden = await client.call_tool("list_traits", {"handle": PRIVATE})
                modes[mode] = [
                    len(samples.structured_content["items"]),
                    *(result.structured_content["error"]["code"] for result in (refused, hidden)),
                ]
        process.send_signal(signal.SIGINT)
        code = process.wait(60)

    assert (401, "unauthorized") == (bare.status_code, bare.json()["error"]["code"])
    assert 404 == elsewhere.status_code
    assert 421 == foreign.status_code
    assert {"auto": [1, "forbidden", "model_not_found"], "legacy": [1, "forbidden", "model_not_found"]} == modes
    assert 0 == code
    assert {} == workspace.wait_for_no_process(60)


@pytest.mark.parametrize(
    ("arguments", "variables_of", "said"),
    [
        (("--port", "8001"), {}, "--port is the port of --http"),
        ((), {"EXEMPLARS_MCP_KEY": "exm_0123456789ab_x"}, "EXEMPLARS_MCP_KEY is none of the keys"),
        (("--http",), {"EXEMPLARS_KEYS_FILE": "s3://bucket/keys.json"}, "keys are kept on a local disk"),
    ],
)
def test_what_cannot_be_served_is_one_message(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    variables_of: dict[str, str],
    said: str,
) -> None:
    terminate = signal.getsignal(signal.SIGTERM)
    workspace.enter(monkeypatch)
    for name, value in variables_of.items():
        monkeypatch.setenv(name, value)
    code = main(["mcp", *arguments])
    signal.signal(signal.SIGTERM, terminate)
    told = capsys.readouterr()

    assert (2, "") == (code, told.out)
    assert 1 == told.err.count("exemplars: ")
    assert said in told.err
