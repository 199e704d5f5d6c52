"""MCP server: operations of the HTTP API, called in this process, as tools, and the models' cards as resources."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import httpx2
from fastmcp import FastMCP
from fastmcp.exceptions import ValidationError, to_mcp_error
from fastmcp.resources import Resource
from fastmcp.server.auth import AuthProvider
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp_types import ToolAnnotations
from pydantic import AnyUrl

from engine.domain.model import check_handle
from engine.errors import HandleError
from engine.settings import Settings
from flows.api.app import make_app
from flows.api.errors import BASE
from flows.api.keys import Key
from flows.api.orchestrator import Orchestrator
from flows.tools_server.own_tools import router

# One of the hosts that the HTTP API always serves.
HOST = "http://127.0.0.1"
CARDS = "exemplars://models/"
MARKDOWN = "text/markdown"
PAGE = 250
INSTRUCTIONS = """
Exemplars makes labelled text samples for models. A model is one standard of judgment; it has traits, and each trait is
an axis with a positive pole (quality 1) and a negative pole (quality 0). Its handle is `<namespace>.<name>`.

list_models lists the models of one namespace, which is the part of a handle before its dot, and names all namespaces.

To make samples: plan_synthesis tells what it will make and cost; synthesize_samples starts it and answers at once with
a run id; get_run, every 10 to 30 seconds, tells how it goes until its status is succeeded, failed or cancelled; then
list_samples lists them. Texts of your own are added with add_samples. Samples are changed on drafts only.

A refusal has a stable code and a message that says what to do. `orchestrator_unavailable` means that Prefect's server,
which runs are enqueued at, does not answer: where the server runs, `make serve` starts it.

This session {rights}.
"""

# The operation of the application behind each tool; the OpenAPI document describes it.
TOOLS = {
    "list_models": "get /v1/models",
    "get_model": "get /v1/models/{handle}",
    "list_traits": "get /v1/models/{handle}/traits",
    "list_samples": "get /v1/models/{handle}/samples",
    "add_samples": "post /v1/models/{handle}/samples",
    "delete_sample": "delete /v1/models/{handle}/samples/{sample_id}",
    "synthesize_samples": "post /v1/models/{handle}/samples/synthesize",
    "plan_synthesis": "get /v1/models/{handle}/plan",
    "get_run": "get /v1/runs/{run_id}",
    "validate_model": "get /v1/models/{handle}/mistakes",
}


class RefusedError(ValidationError):
    """Refusal of a call: a code of the contract, a sentence, and details."""

    def __init__(self, code: str, message: str, details: object = None) -> None:
        details_text = f"\n{json.dumps(details, ensure_ascii=False)}" if details else ""
        # The HTTP API logs the refusal.
        super().__init__(f"{code}: {message}{details_text}", log_level=logging.DEBUG)


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity of a client: ``get_secret`` returns the secret of the current request, ``find_key`` its key.

    ``rights`` describes the rights of a session as a phrase.
    """

    find_key: Callable[[str], Key | None]
    get_secret: Callable[[], str]
    rights: str


def make_server(
    settings: Settings,
    identity: Identity,
    auth: AuthProvider | None = None,
    orchestrator: Orchestrator | None = None,
) -> FastMCP[Any]:
    """Make a server.

    Args:
        auth: decides which requests over HTTP are allowed.
        orchestrator: as for the HTTP API's application.
    """
    app = make_app(settings, find_key=identity.find_key, orchestrator=orchestrator)
    app.include_router(router, prefix=BASE)

    async def authorize(request: httpx2.Request) -> None:
        request.headers["Authorization"] = f"Bearer {identity.get_secret()}"

    hooks: dict[str, Any] = {"request": [authorize], "response": [_refuse_response]}
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=HOST, event_hooks=hooks)

    async def read_card(handle: str) -> str:
        response = await client.get(f"{BASE}/models/{quote(handle, safe='')}", headers={"Accept": MARKDOWN})
        return response.text

    server: FastMCP[Any] = FastMCP.from_openapi(
        _choose_operations(app.openapi()),
        client,
        "exemplars",
        mcp_component_fn=_annotate,
        instructions=INSTRUCTIONS.format(rights=identity.rights).strip(),
        version=version("exemplars"),
        lifespan=lambda _: app.router.lifespan_context(app),
        middleware=[_CheckAndName(client, identity)],
        auth=auth,
        # The log has the cause of an internal error, and the client does not get it.
        mask_error_details=True,
        # The HTTP API names an unknown argument in a header, which no client of a tool sees.
        strict_input_validation=True,
        list_page_size=PAGE,
    )
    about = "What a model judges, its brief, and the counts of its samples."
    server.resource(f"{CARDS}{{handle}}", name="model-card", description=about, mime_type=MARKDOWN)(read_card)
    return server


async def _refuse_response(response: httpx2.Response) -> None:
    if response.is_error:
        await response.aread()
        error = response.json()["error"]
        raise RefusedError(error["code"], error["message"], error["details"])


class _CheckAndName(Middleware):
    """Check handles, list the readable cards, and add the readable namespaces to a list of models."""

    def __init__(self, client: httpx2.AsyncClient, identity: Identity) -> None:
        self._client = client
        self._identity = identity

    async def on_call_tool(self, context: MiddlewareContext[Any], call_next: CallNext[Any, ToolResult]) -> ToolResult:
        self._check_key()
        handle = (context.message.arguments or {}).get("handle")
        if isinstance(handle, str):
            # FastMCP itself refuses some handles, such as `..`, without a reason.
            try:
                check_handle(handle)
            except HandleError as error:
                raise RefusedError("invalid_handle", f"{error}.") from error
        result = await call_next(context)
        if context.message.name != "list_models":
            return result
        namespaces = sorted({handle.partition(".")[0] for handle in await self._list_readable()})
        return ToolResult(structured_content={**(result.structured_content or {}), "namespaces": namespaces})

    async def on_list_resources(self, context: object, call_next: object) -> Sequence[Resource]:
        try:
            handles = await self._list_readable()
        except RefusedError as error:
            raise to_mcp_error(error) from error
        return [Resource(uri=AnyUrl(f"{CARDS}{handle}"), name=handle, mime_type=MARKDOWN) for handle in handles]

    def _check_key(self) -> None:
        if self._identity.find_key(self._identity.get_secret()) is None:
            raise RefusedError("unauthorized", "The key of this session is not valid any more.")

    async def _list_readable(self) -> list[str]:
        self._check_key()
        handles: list[str] = (await self._client.get(f"{BASE}/handles")).json()
        return handles


def _choose_operations(document: Mapping[str, Any]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for name, operation in TOOLS.items():
        method, path = operation.split()
        paths.setdefault(path, {})[method] = {**document["paths"][path][method], "operationId": name}
    return {**document, "paths": paths}


def _annotate(route: Any, tool: Any) -> None:
    """Set the tool's hints about side effects, and add the additional field of its answer."""
    if tool.name == "list_models":
        tool.output_schema["properties"]["namespaces"] = {"type": "array", "items": {"type": "string"}}
    is_synthesis = tool.name == "synthesize_samples"
    tool.annotations = ToolAnnotations(
        read_only_hint=route.method == "GET",
        destructive_hint=route.method == "DELETE",
        idempotent_hint=not is_synthesis,
        open_world_hint=is_synthesis,
    )
