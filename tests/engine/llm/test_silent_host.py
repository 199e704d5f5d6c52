"""What a client says of a model that no call can reach: nobody takes the connection, or its name says no provider."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from fakes.builders import make_cell, make_test_plan

from engine.errors import ModelNotFoundError, ProviderUnavailableError
from engine.generation.requests import make_chat_request
from engine.llm.client import LitellmClient
from engine.llm.request import Endpoint


async def call(name: str, url: str) -> None:
    client = LitellmClient(Endpoint(name, name, "", api_base=url, api_key="test"), 60)
    try:
        await client.complete(make_chat_request(make_test_plan(), make_cell(), "English"))
    finally:
        await client.close()


@pytest.fixture
def silent() -> Iterator[str]:
    """The base URL of a host that takes no connection and does not say so, as one behind a firewall does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        # The first connection waits to be accepted, and there is no room for another.
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


async def test_host_that_takes_no_connection_is_told(silent: str) -> None:
    with pytest.raises(ProviderUnavailableError, match=r"no connection in 6 s\. Check EXEMPLARS") as told:
        await call("openai/test", silent)

    assert (False, True) == (told.value.maybe_billed, told.value.no_connection)


async def test_name_without_a_known_provider_is_told() -> None:
    with pytest.raises(ModelNotFoundError, match="'nobody/test' names no provider that litellm knows"):
        await call("nobody/test", "http://127.0.0.1:9/v1")
