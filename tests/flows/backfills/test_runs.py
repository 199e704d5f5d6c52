"""Child runs of a backfill: how Prefect is asked for them."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

from prefect.client.orchestration import PrefectClient

from engine.backfills.targets import BackfillRequest
from flows.backfills.runs import ChildRuns
from flows.synthesize import synthesize


class Client:
    """Prefect's client, which records how many requests are in flight at once."""

    def __init__(self) -> None:
        self.in_flight = self.most_in_flight = 0

    async def request(self, _method: str, _path: str, json: dict[str, Any]) -> SimpleNamespace:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        created = {"id": str(uuid4()), "flow_id": json["flow_id"], "parameters": json["parameters"]}
        return SimpleNamespace(json=lambda: created)


async def test_runs_are_created_one_at_a_time() -> None:
    client, handles = Client(), [f"sheds.shed-{number}" for number in range(4)]
    children = ChildRuns(cast(PrefectClient, client), synthesize, uuid4(), uuid4())
    runs = await asyncio.gather(*(children.create(handle, BackfillRequest((handle,))) for handle in handles))

    assert handles == [run.parameters["handle"] for run in runs]
    assert 1 == client.most_in_flight
