"""The door in this process: the application that answers over HTTP, asked without a network.

So scopes, namespaces, the order of refusals and their words are those of the door, whatever it becomes.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx
from mcp.types import Tool
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.settings import Settings
from flows.api.app import make_app
from flows.api.ignored_fields import IGNORED
from flows.api.keys.key import Key
from flows.api.prefect_runs.client import DEFAULT_PREFECT
from flows.observability.logs import set_up_logs
from flows.tools_server.routes import cards, mistakes, plan, run
from flows.tools_server.tool_requests import make_request
from flows.tools_server.tool_schemas import Operation, describe_tool, list_operations
from flows.tools_server.tools import TOOLS

FURTHER = (plan.router, run.router, mistakes.router, cards.router)
# One of the hosts that the door always serves.
BASE = "http://127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the door: JSON, or markdown in ``text`` alone. ``ignored`` are the fields that nobody read."""

    status: int
    text: str
    body: Mapping[str, Any]
    ignored: tuple[str, ...]

    @property
    def is_refusal(self) -> bool:
        """Whether it is the envelope of an error."""
        return self.status >= httpx.codes.BAD_REQUEST


class Door:
    """Asks the operations of an application by their ids, each with the key of whoever asks."""

    def __init__(self, client: httpx.AsyncClient, document: Mapping[str, Any], prefect: SettingsContext) -> None:
        self._client = client
        self._operations: Mapping[str, Operation] = list_operations(document)
        self._prefect = prefect
        self.tools: Mapping[str, Tool] = {
            entry.name: describe_tool(entry, self._operations, document) for entry in TOOLS
        }

    async def ask(
        self, operation: str, arguments: Mapping[str, Any], authorization: str, accept: str = "application/json"
    ) -> Answer:
        """Asks one operation.

        Raises:
            ApiError: 422, the arguments cannot be made a request.
        """
        request = make_request(self._operations[operation], arguments)
        headers = {"Accept": accept, "Content-Type": "application/json"}
        if authorization:
            headers["Authorization"] = authorization
        # The task of a session knows nothing of the settings that the door was opened with. (To have Prefect change
        # its settings for each request would take 30 ms.)
        with SettingsContext(profile=self._prefect.profile, settings=self._prefect.settings):
            response = await self._client.request(
                request.method, request.path, params=request.query, content=request.body, headers=headers
            )
        is_json = response.headers.get("content-type", "").startswith("application/json")
        ignored = tuple(unquote(name) for name in response.headers.get(IGNORED, "").split(", ") if name)
        return Answer(response.status_code, response.text, response.json() if is_json else {}, ignored)


@asynccontextmanager
async def open_door(settings: Settings, find_key: Callable[[str], Key | None]) -> AsyncIterator[Door]:
    """Opens the door while the block runs; Prefect's server need not answer."""
    set_up_logs(settings.log_format)
    # The door has a line for each request; httpx would add another.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    app = make_app(settings, find_key=find_key, further=FURTHER)
    app.state.settings = settings
    with temporary_settings({PREFECT_API_URL: PREFECT_API_URL.value() or DEFAULT_PREFECT}):
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"{BASE}/v1") as client,
        ):
            yield Door(client, app.openapi(), get_settings_context())
