"""A process that does a pass of the flow ``batches`` and is killed while it has runs go on."""

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Any, Literal

from fakes.store_writers import CONTEXT, SECONDS

# What it has just done: kept all replies, found a run to resume, or resumed it.
Step = Literal["kept", "found", "resumed"]
STEPS: tuple[Step, ...] = ("kept", "found", "resumed")


def work(url: str, variables: Mapping[str, str], step: Step) -> None:
    os.environ.update(variables)
    from prefect.client.orchestration import PrefectClient
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.batches import flow
    from flows.batches.collect import collect_once

    resume = PrefectClient.resume_flow_run

    async def collect(*arguments: Any) -> Any:
        told = await collect_once(*arguments)
        reach("kept")
        return told

    async def resume_one(*arguments: Any, **named: Any) -> Any:
        reach("found")
        told = await resume(*arguments, **named)
        reach("resumed")
        return told

    def reach(reached: Step) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(flow, "collect_once", collect)  # noqa: B010 (a method cannot be assigned to, says mypy)
    setattr(PrefectClient, "resume_flow_run", resume_one)  # noqa: B010
    with temporary_settings({PREFECT_API_URL: url}):
        asyncio.run(flow.batches())


def kill_waking(url: str, variables: Mapping[str, str], step: Step) -> bool:
    """Whether it was killed: where no run is ready, it ends by itself."""
    process = CONTEXT.Process(target=work, args=(url, variables, step))
    process.start()
    process.join(SECONDS)
    return process.exitcode == -signal.SIGKILL
