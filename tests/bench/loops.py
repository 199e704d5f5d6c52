"""A bare loop: the calls of a recorded run, sent by litellm or OpenAI's client with 32 in flight, nothing kept."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[Any]]


def open_litellm(url: str) -> Send:
    """Sends by litellm, set up as the flow sets it up."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False

    async def send(body: dict[str, Any]) -> Any:
        model = f"openai/{body['model']}"
        told = {name: value for name, value in body.items() if name != "model"}
        return await litellm.acompletion(model=model, api_base=url, api_key="test", max_retries=0, **told)

    return send


def open_openai(url: str) -> Send:
    """Sends by OpenAI's own client."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="test", max_retries=0)

    async def send(body: dict[str, Any]) -> Any:
        return await client.chat.completions.create(**body)

    return send


async def send_all(send: Send, bodies: list[dict[str, Any]], concurrency: int) -> None:
    """The first alone, as the flow asks for subjects first; then the others, so many in flight."""
    slots = asyncio.Semaphore(concurrency)

    async def send_one(body: dict[str, Any]) -> None:
        async with slots:
            await send(body)

    await send(bodies[0])
    await asyncio.gather(*map(send_one, bodies[1:]))


if __name__ == "__main__":
    kind, address, recorded, in_flight = sys.argv[1:]
    opened = {"litellm": open_litellm, "openai": open_openai}[kind](address)
    asyncio.run(
        send_all(opened, [json.loads(line) for line in Path(recorded).read_text().splitlines()], int(in_flight))
    )
