"""A bare loop: the calls of a recorded run, sent by litellm with so many in flight, nothing kept."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any


async def send_all(url: str, bodies: list[dict[str, Any]], concurrency: int) -> None:
    """The first alone, as the flow asks for subjects first; then the others, so many in flight."""
    # Set up as the flow sets it up.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    slots = asyncio.Semaphore(concurrency)

    async def send(body: dict[str, Any]) -> None:
        model = f"openai/{body['model']}"
        told = {name: value for name, value in body.items() if name != "model"}
        async with slots:
            await litellm.acompletion(model=model, api_base=url, api_key="test", max_retries=0, **told)

    await send(bodies[0])
    await asyncio.gather(*map(send, bodies[1:]))


if __name__ == "__main__":
    address, recorded, in_flight = sys.argv[1:]
    lines = Path(recorded).read_text().splitlines()
    asyncio.run(send_all(address, [json.loads(line) for line in lines], int(in_flight)))
