"""The MCP server: answers what clients ask of tools and resources by asking the door in this process."""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
)

from flows.api.errors import ApiError
from flows.tools_server.tool_requests import refuse_argument
from flows.tools_server.tools import HANDLE, TOOLS, ToolEntry

if TYPE_CHECKING:
    from flows.tools_server.door import Answer, Door

# Waits until the door is open.
OpenDoor = Callable[[], Awaitable["Door"]]
Context = ServerRequestContext[OpenDoor, Any]
CARDS = "exemplars://models/"
MARKDOWN = "text/markdown"
OUR_FAULT = 500
INSTRUCTIONS = """
Exemplars makes labelled text samples for models. A model is one standard of judgment; it has traits, and each trait is
an axis with a positive pole (quality 1) and a negative pole (quality 0). Its handle is `<namespace>.<name>`.

To make samples: plan_synthesis tells what it will make and cost; synthesize_samples starts it and answers at once with
a run id; get_run, every 10 to 30 seconds, tells how it goes until its status is succeeded, failed or cancelled; then
list_samples lists them. Texts of your own are added with add_samples. Samples are changed on drafts only.

A refusal has a stable code and a message that says what to do. `orchestrator_unavailable` means that Prefect's server,
which runs are enqueued at, does not answer: where the server runs, `make serve` starts it.

This session {rights}.
"""


def make_server(
    opening: Callable[[], AbstractAsyncContextManager[OpenDoor]], authorize: Callable[[Context], str], rights: str
) -> "Server[OpenDoor]":
    """Makes a server.

    Args:
        opening: keeps the door open while its block runs.
        authorize: the ``Authorization`` header of whoever asks.
        rights: what a session may do, as a phrase.
    """
    handlers = _Handlers(authorize)
    return Server(
        "exemplars",
        version=version("exemplars"),
        title="Exemplars",
        instructions=INSTRUCTIONS.format(rights=rights).strip(),
        lifespan=lambda _: opening(),
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read_resource,
    )


class _Handlers:
    """What the server does for each request of a client.

    Args:
        authorize: the ``Authorization`` header of whoever asks.
    """

    def __init__(self, authorize: Callable[[Context], str]) -> None:
        self._authorize = authorize

    async def list_tools(self, context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        door = await context.lifespan_context()
        return ListToolsResult(tools=list(door.tools.values()))

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        entry, arguments = _find_tool(params.name), params.arguments or {}
        door, authorization = await context.lifespan_context(), self._authorize(context)
        try:
            _check_names(entry, door.tools[entry.name].input_schema["properties"], arguments)
            answer = await door.ask(entry.operation, arguments, authorization)
            content = dict(answer.body)
            if entry.also and not answer.is_refusal:
                answer = await door.ask(entry.also, {}, authorization)
                content |= answer.body
        except ApiError as error:
            return _refuse({"code": error.code, "message": error.message, "details": error.details})
        if answer.is_refusal:
            return _refuse(answer.body["error"])
        if answer.ignored:
            content["ignored_fields"] = list(answer.ignored)
        if entry.then:
            content["next"] = entry.then.format_map(content)
        return CallToolResult(
            content=[_write_text(json.dumps(content, ensure_ascii=False))], structured_content=content
        )

    async def list_resources(self, context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        cursor = params.cursor if params else None
        answer = await self._ask(context, "list_cards", {"cursor": cursor})
        resources = [
            Resource(
                uri=f"{CARDS}{item['handle']}",
                name=item["handle"],
                description=item["description"],
                mime_type=MARKDOWN,
            )
            for item in answer.body["items"]
        ]
        return ListResourcesResult(resources=resources, next_cursor=answer.body["next_cursor"])

    async def list_templates(
        self, _context: Context, _params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        card = ResourceTemplate(
            uri_template=f"{CARDS}{{handle}}",
            name="model-card",
            title="Model card",
            description=f"What a model judges, its brief, and the counts of its samples. {HANDLE}",
            mime_type=MARKDOWN,
        )
        return ListResourceTemplatesResult(resource_templates=[card])

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        uri = str(params.uri)
        if not uri.startswith(CARDS):
            raise MCPError(INVALID_PARAMS, f"There is no resource {uri[:200]}. Model cards are {CARDS}<handle>.")
        answer = await self._ask(context, "read_model", {"handle": unquote(uri.removeprefix(CARDS))}, MARKDOWN)
        return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=MARKDOWN, text=answer.text)])

    async def _ask(
        self, context: Context, operation: str, arguments: Mapping[str, Any], accept: str = "application/json"
    ) -> "Answer":
        door = await context.lifespan_context()
        try:
            answer = await door.ask(operation, arguments, self._authorize(context), accept)
        except ApiError as error:
            raise MCPError(INVALID_PARAMS, f"{error.code}: {error.message}") from None
        if answer.is_refusal:
            told = answer.body["error"]
            code = INTERNAL_ERROR if answer.status >= OUR_FAULT else INVALID_PARAMS
            raise MCPError(code, f"{told['code']}: {told['message']}", {"error": told})
        return answer


def _find_tool(name: str) -> ToolEntry:
    for entry in TOOLS:
        if entry.name == name:
            return entry
    raise MCPError(INVALID_PARAMS, f"There is no tool {name[:60]!r}. There are: {', '.join(x.name for x in TOOLS)}.")


def _check_names(entry: ToolEntry, known: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Checks that the tool has these arguments.

    Raises:
        ApiError: 422, it has not. The door would ignore it, and a mistyped ``efort`` cost money.
    """
    for name in arguments:
        if name not in known:
            raise refuse_argument(f"{entry.name} has no argument {name[:60]!r}. It has: {', '.join(known)}.", name[:60])


def _refuse(error: Mapping[str, Any]) -> CallToolResult:
    """A refusal as a model reads it, code and message first, and as a program does."""
    details = f"\n{json.dumps(error['details'], ensure_ascii=False)}" if error["details"] else ""
    text = f"{error['code']}: {error['message']}{details}"
    return CallToolResult(content=[_write_text(text)], structured_content={"error": dict(error)}, is_error=True)


def _write_text(text: str) -> TextContent:
    return TextContent(type="text", text=text)
