"""Races: however many ask at the same instant, one run is made, on SQLite and on PostgreSQL."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.door import open_door
from fakes.long import choose, longer
from fakes.postgres import serve_postgres
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.surface import Surface, open_surface
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, read_manifest

from flows.runs.flow_runs import ENDED_TYPES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CALLERS = 20
ROUNDS = choose(once=3, at_length=50)
PATH = f"/models/{HANDLE}/samples/synthesize"


@contextmanager
def serve_database(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """Prefect's variables for a database; SQLite is what it takes by itself."""
    if name == "sqlite":
        yield {}
    else:
        with serve_postgres() as url:
            yield {"PREFECT_SERVER_DATABASE_CONNECTION_URL": url}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serve_provider() as served:
        yield served


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def backend(
    request: pytest.FixtureRequest, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Surface]:
    """The surface on either of Prefect's databases."""
    folder = tmp_path_factory.mktemp(request.param)
    with (
        serve_database(request.param, folder) as variables,
        open_surface(folder / "surface", provider, variables) as surface,
    ):
        yield surface


@dataclass
class Round:
    """What came of the requests of one instant."""

    new: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    others: list[tuple[int, str]] = field(default_factory=list)


def ask_at_once(surface: Surface, count: int = CALLERS, meanwhile: Any = None, others: Sequence[str] = ()) -> Round:
    """Sends requests all at the same instant, over connections that are open already; to each door its share."""
    urls = list(itertools.islice(itertools.cycle([surface.door.url, *others]), count))

    async def ask_all() -> list[httpx.Response]:
        headers = {"Authorization": f"Bearer {surface.door.secret}"}
        limits = httpx.Limits(max_connections=count + 1)
        async with httpx.AsyncClient(headers=headers, timeout=60, limits=limits) as client:
            await asyncio.gather(*(client.get(f"{url}/models/{HANDLE}/traits") for url in urls))
            asking = [client.post(f"{url}{PATH}", json={"effort": "low"}) for url in urls]
            if meanwhile is not None:
                asking.append(asyncio.to_thread(meanwhile))
            return list(await asyncio.gather(*asking))[:count]

    found = Round()
    for answer in asyncio.run(ask_all()):
        if answer.status_code == 202:
            found.new.append(answer.json()["run_id"])
        elif answer.status_code == 409:
            found.conflicts.append(answer.headers["X-Run-Id"])
            assert answer.headers["X-Run-Id"] == answer.json()["error"]["details"]["run_id"]
        else:
            found.others.append((answer.status_code, answer.text))
    return found


def count_live(surface: Surface, run_ids: list[str]) -> int:
    """How many of the runs are not over."""
    return sum(surface.site.read_state(run_id)[0] not in ENDED_TYPES for run_id in run_ids)


def list_runs(surface: Surface) -> list[dict[str, Any]]:
    """All runs of the model that Prefect has, the oldest first."""
    found: list[dict[str, Any]] = []
    while page := surface.site.ask("POST", "/flow_runs/filter", offset=len(found), sort="EXPECTED_START_TIME_ASC"):
        found += page
    return found


@longer
def test_of_requests_at_one_instant_one_makes_a_run(backend: Surface) -> None:
    backend.site.forget_runs()
    for number in range(ROUNDS):
        found = ask_at_once(backend)
        assert [] == found.others
        assert (1, CALLERS - 1) == (len(found.new), len(found.conflicts)), f"round {number}"
        assert {found.new[0]} == set(found.conflicts)
        backend.end_runs(random.Random(number).choice(ENDED_TYPES))

    assert ROUNDS == len(list_runs(backend))


@longer
def test_of_requests_to_two_doors_one_makes_a_run(backend: Surface) -> None:
    backend.site.forget_runs()
    with open_door(backend.door.workspace, backend.door.variables) as second:
        for number in range(ROUNDS):
            found = ask_at_once(backend, others=[second.url])
            assert [] == found.others
            assert (1, CALLERS - 1) == (len(found.new), len(found.conflicts)), f"round {number}"
            assert {found.new[0]} == set(found.conflicts)
            backend.end_runs(random.Random(number).choice(ENDED_TYPES))

    assert ROUNDS == len(list_runs(backend))


@longer
def test_run_that_ends_at_any_instant_lets_one_successor_in(backend: Surface) -> None:
    backend.site.forget_runs()
    instants = random.Random(7)
    made: list[str] = list(ask_at_once(backend, 1).new)
    for _ in range(ROUNDS):
        live, seconds = made[-1], instants.uniform(0, 1.2)

        def end(run_id: str = live, seconds: float = seconds) -> None:
            asyncio.run(asyncio.sleep(seconds))
            backend.set_state(run_id, "COMPLETED")

        found = ask_at_once(backend, meanwhile=end)
        assert [] == found.others
        assert len(found.new) <= 1
        assert set(found.conflicts) <= {live, *found.new}
        made += found.new or ask_at_once(backend, 1).new
    backend.end_runs()
    spans = [(run["created"], run["end_time"]) for run in list_runs(backend)]

    assert Counter(made) == Counter(run["id"] for run in list_runs(backend))
    assert [] == [(before, after) for before, after in itertools.pairwise(spans) if after[0] < before[1]]


@longer
def test_run_of_the_ui_at_the_same_instant_attaches_or_is_cancelled(backend: Surface, provider: Provider) -> None:
    backend.site.forget_runs()
    # The only worker: what the other tests ask for is done by nobody.
    backend.site.start_worker(limit=4)
    try:
        for _ in range(choose(once=1, at_length=10)):
            race_with_the_ui(backend, provider)
    finally:
        backend.site.kill("worker", "flows")


def race_with_the_ui(surface: Surface, provider: Provider) -> None:
    """Requests and a run of the form at one instant; the provider sits on its answers until all but one have ended."""
    provider.behaviour = Behaviour(hold_after=0)
    pressed: list[str] = []
    before = len(surface.door.workspace.list_sets())
    found = ask_at_once(surface, meanwhile=lambda: pressed.append(surface.site.start_run()))
    runs = [*pressed, *found.new]
    wait_until(lambda: count_live(surface, runs) <= 1 <= provider.in_flight, 120, "all but one have ended")
    provider.behaviour = Behaviour()
    wait_until(lambda: count_live(surface, runs) == 0, 120, "the last has ended")
    states = {run_id: surface.site.read_state(run_id) for run_id in runs}
    [attached] = surface.door.workspace.list_sets()[before:]
    winner = read_manifest(attached)["run_id"]

    assert [] == found.others
    assert "COMPLETED" == states.pop(winner)[0]
    assert {("CANCELLED", True)} >= {(state, winner in message) for state, message in states.values()}
