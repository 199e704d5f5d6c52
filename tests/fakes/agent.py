"""An agent: a client of the protocol's own SDK, in one session with the tools of a workspace."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mcp import Client
from mcp.types import TextContent

from engine.settings import Settings
from flows.tools_server.sessions import make_own_server


@dataclass(frozen=True)
class Agent:
    client: Client

    async def call(self, tool: str, **arguments: Any) -> Any:
        """The answer of a tool, which its text says too."""
        result = await self.client.call_tool(tool, arguments)
        [content] = result.content
        assert isinstance(content, TextContent)
        assert not result.is_error, content.text
        assert json.loads(content.text) == result.structured_content
        return result.structured_content

    async def fail(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The error that a tool refuses with, whose code and message stand first in its text."""
        result = await self.client.call_tool(tool, arguments)
        [content] = result.content
        assert isinstance(content, TextContent)
        assert result.is_error, content.text
        error: dict[str, Any] = result.structured_content["error"]
        assert content.text.startswith(f"{error['code']}: {error['message']}")
        return error


@asynccontextmanager
async def open_agent(settings: Settings) -> AsyncIterator[Agent]:
    async with Client(make_own_server(settings)) as client:
        yield Agent(client)
