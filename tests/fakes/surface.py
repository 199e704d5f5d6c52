"""The surface: the application in this process, a catalogue of models in every state, and runs in memory."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fakes.orchestrator import FakeOrchestrator
from fakes.workspace import HANDLE, Workspace, make_workspace
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from engine.definitions.outline import ADDED_FILE
from engine.settings import Settings, read_settings
from flows.api.app import make_app
from flows.api.keys import issue_key
from flows.api.metrics import RequestMetrics

ADDRESS = "http://127.0.0.1"
SEEDED = "u22a8.seeded"
BARE, UNDISCOVERED, BROKEN = "u22a8.bare", "u22a8.undiscovered", "u22a8.broken"
TRAINED, ARCHIVED = "u22a8.trained", "u22a8.archived"
PRIVATE, PUBLIC = "acme.private", "live.public"
UNKNOWN = "u22a8.nothing-of-the-kind"
HANDLES = (ARCHIVED, BARE, BROKEN, SEEDED, HANDLE, TRAINED, UNDISCOVERED)
LIFECYCLES = {
    TRAINED: {"state": "ready", "version_id": 3, "version_no": 1, "version_tags": ["stable"]},
    ARCHIVED: {"state": "archived"},
}


@dataclass
class Surface:
    """``author`` owns ``u22a8``; ``reader`` too, with the scope ``scoring``; ``stranger`` owns ``acme`` alone.

    ``secret`` is the author's.
    """

    workspace: Workspace
    app: FastAPI
    orchestrator: FakeOrchestrator
    registry: CollectorRegistry
    portal: BlockingPortal
    secret: str
    author: httpx.Client
    reader: httpx.Client
    stranger: httpx.Client
    nobody: httpx.Client

    @property
    def samples(self) -> Path:
        return self.workspace.samples

    def find_model(self, handle: str = HANDLE) -> Path:
        return self.workspace.model.with_name(handle)

    def forget(self) -> None:
        """Forgets all runs, sets and added samples, for the next test; a file of added samples stays, empty."""
        vars(self.orchestrator).update(vars(FakeOrchestrator()))
        shutil.rmtree(self.samples, ignore_errors=True)
        for added in self.workspace.folder.rglob(ADDED_FILE):
            added.write_bytes(b"")

    def synthesize(self, handle: str = HANDLE, **body: Any) -> httpx.Response:
        return self.author.post(f"/models/{handle}/samples/synthesize", json=body)


@contextmanager
def open_surface(folder: Path) -> Iterator[Surface]:
    keys = folder / "keys.json"
    workspace = make_workspace(folder, None, EXEMPLARS_KEYS_FILE=str(keys))
    fill_catalogue(workspace)
    orchestrator, registry = FakeOrchestrator(), CollectorRegistry()
    app = make_app(read_settings_of(workspace), RequestMetrics(registry), orchestrator=orchestrator)
    secrets = [
        issue_key(keys, [namespace], scope, datetime.now(UTC))[1]
        for namespace, scope in (("u22a8", "authoring"), ("u22a8", "scoring"), ("acme", "authoring"))
    ]
    with start_blocking_portal() as portal:
        clients = (ask_as(app, portal, secret) for secret in (*secrets, ""))
        yield Surface(workspace, app, orchestrator, registry, portal, secrets[0], *clients)


class _Bridge(httpx.BaseTransport):
    """Passes requests on to an application whose event loop runs in another thread."""

    def __init__(self, app: FastAPI, portal: BlockingPortal) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._portal = portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._portal.call(self._ask, request)

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        asked = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        answer = await self._transport.handle_async_request(asked)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


def ask_as(app: FastAPI, portal: BlockingPortal, secret: str) -> httpx.Client:
    """A client of an application in this process, with a key if the secret is not empty; threads may share it."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return httpx.Client(transport=_Bridge(app, portal), base_url=f"{ADDRESS}/v1", headers=headers)


def read_settings_of(workspace: Workspace, variables: Mapping[str, str] = {}) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        workspace.enter(patch)
        for name, value in variables.items():
            patch.setenv(name, value)
        return read_settings()


def read_refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that is the envelope and nothing else."""
    assert ["error"] == list(answer.json())
    error = answer.json()["error"]
    assert ["code", "details", "message", "request_id"] == sorted(error)
    assert answer.headers["X-Request-Id"] == error["request_id"]
    assert isinstance(error["details"], dict)
    assert error["message"]
    return answer.status_code, error["code"]


def list_all(client: httpx.Client, path: str, **parameters: Any) -> list[dict[str, Any]]:
    page = client.get(path, params=parameters).json()
    items: list[dict[str, Any]] = page["items"]
    while page["next_cursor"]:
        page = client.get(path, params={**parameters, "cursor": page["next_cursor"]}).json()
        items += page["items"]
    return items


def fill_catalogue(workspace: Workspace) -> None:
    """Copies the workspace's model for each of the handles, with what sets it apart."""
    for handle in (SEEDED, BARE, TRAINED, ARCHIVED, PRIVATE, PUBLIC):
        shutil.copytree(workspace.model, workspace.model.with_name(handle))
    for handle, lifecycle in LIFECYCLES.items():
        (workspace.model.with_name(handle) / "lifecycle.json").write_text(json.dumps(lifecycle))
    seeds = workspace.model.with_name(SEEDED) / "samples.jsonl"
    seeds.write_text(seeds.read_text() + "\n" + seeds.read_text().replace('"clarity"', '"safety"'))
    bare = workspace.model.with_name(BARE)
    (bare / "samples.jsonl").unlink()
    definition = (bare / "model.yaml").read_text()
    (bare / "model.yaml").write_text(definition.replace("sources:\n  - {type: jsonl, path: samples.jsonl}\n", ""))
    for handle, text in ((UNDISCOVERED, "traits: discover\n"), (BROKEN, "traits: {}\n")):
        workspace.model.with_name(handle).mkdir()
        (workspace.model.with_name(handle) / "model.yaml").write_text(text)
