"""Races: however many ask at the same instant, one run is made; at length on Prefect's SQLite and PostgreSQL."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import httpx
import pytest
from fakes.door import Served, open_door, open_served
from fakes.long import long
from fakes.postgres import serve_postgres
from fakes.surface import Surface, ask_as, read_settings_of
from fakes.workspace import HANDLE

from flows.api.app import make_app
from flows.api.prefect_runs.creation_lock import RunCreationLock
from flows.runs.flow_runs import ENDED_TYPES

CALLERS, ROUNDS = 20, 50
PATH = f"/models/{HANDLE}/samples/synthesize"


@dataclass
class Round:
    """What came of the requests of one instant."""

    new: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    others: list[tuple[int, str]] = field(default_factory=list)

    def take(self, answer: httpx.Response) -> None:
        if answer.status_code == 202:
            self.new.append(answer.json()["run_id"])
        elif answer.status_code == 409:
            self.conflicts.append(answer.headers["X-Run-Id"])
            assert answer.headers["X-Run-Id"] == answer.json()["error"]["details"]["run_id"]
        else:
            self.others.append((answer.status_code, answer.text))


@pytest.fixture
def other_door(surface: Surface) -> httpx.Client:
    """Another door to the same runs, with a lock of its own."""
    orchestrator = replace(surface.orchestrator, creation_lock=RunCreationLock())
    app = make_app(read_settings_of(surface.workspace), orchestrator=orchestrator)
    return ask_as(app, surface.portal, surface.secret)


def ask_in_threads(*clients: httpx.Client, meanwhile: Callable[[], object] = lambda: None) -> Round:
    """Twenty requests at the same instant, to each client its share."""
    found = Round()
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        other = pool.submit(meanwhile)
        asked = [*itertools.islice(itertools.cycle(clients), CALLERS)]
        for answer in pool.map(lambda client: client.post(PATH, json={"effort": "low"}), asked):
            found.take(answer)
        other.result()
    return found


def test_of_requests_at_one_instant_one_makes_a_run(surface: Surface, other_door: httpx.Client) -> None:
    for ended in ENDED_TYPES:
        found = ask_in_threads(surface.author, other_door)
        surface.orchestrator.end_runs(ended)

        assert [] == found.others
        assert (1, CALLERS - 1) == (len(found.new), len(found.conflicts))
        assert {found.new[0]} == set(found.conflicts)
    assert len(ENDED_TYPES) == len(surface.orchestrator.runs)


def test_run_that_ends_meanwhile_lets_one_successor_in(surface: Surface, other_door: httpx.Client) -> None:
    runs = surface.orchestrator
    made = [surface.synthesize(effort="low").json()["run_id"]]
    for _ in range(10):
        live = made[-1]
        found = ask_in_threads(surface.author, other_door, meanwhile=partial(runs.set_state, live, "COMPLETED"))
        made += found.new or [surface.synthesize(effort="low").json()["run_id"]]

        assert [] == found.others
        assert len(found.new) <= 1
        assert set(found.conflicts) <= {live, *found.new}
    assert made == list(runs.runs)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A door to either of Prefect's databases; SQLite is what it takes by itself."""
    folder, variables = tmp_path_factory.mktemp(request.param), {}
    with ExitStack() as opened:
        if request.param == "postgresql":
            url = opened.enter_context(serve_postgres())
            variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = url
        yield opened.enter_context(open_served(folder / "served", None, variables))


def ask_at_once(backend: Served, *urls: str, meanwhile: Callable[[], object] = lambda: None) -> Round:
    """Twenty requests all at the same instant, over connections that are open already."""
    asked = list(itertools.islice(itertools.cycle([backend.door.url, *urls]), CALLERS))

    async def ask_all() -> list[Any]:
        headers, limits = {"Authorization": f"Bearer {backend.door.secret}"}, httpx.Limits(max_connections=CALLERS + 1)
        async with httpx.AsyncClient(headers=headers, timeout=60, limits=limits) as client:
            await asyncio.gather(*(client.get(f"{url}/models/{HANDLE}/traits") for url in asked))
            asking = [client.post(f"{url}{PATH}", json={"effort": "low"}) for url in asked]
            return list(await asyncio.gather(*asking, asyncio.to_thread(meanwhile)))

    found = Round()
    for answer in asyncio.run(ask_all())[:CALLERS]:
        found.take(answer)
    return found


def list_runs(backend: Served) -> list[dict[str, Any]]:
    """All runs of the model that Prefect has, the oldest first."""
    found: list[dict[str, Any]] = []
    while page := backend.site.ask("POST", "/flow_runs/filter", offset=len(found), sort="EXPECTED_START_TIME_ASC"):
        found += page
    return found


@long
@pytest.mark.timeout(3600)
def test_of_requests_at_two_doors_one_makes_a_run(backend: Served) -> None:
    backend.site.forget_runs()
    with open_door(backend.door.workspace, backend.door.variables) as second:
        for number in range(ROUNDS):
            found = ask_at_once(backend, second.url)
            assert [] == found.others
            assert (1, CALLERS - 1) == (len(found.new), len(found.conflicts)), f"round {number}"
            assert {found.new[0]} == set(found.conflicts)
            backend.end_runs(random.Random(number).choice(ENDED_TYPES))

    assert ROUNDS == len(list_runs(backend))


@long
@pytest.mark.timeout(3600)
def test_run_that_ends_at_any_instant_lets_one_successor_in(backend: Served) -> None:
    backend.site.forget_runs()
    instants = random.Random(7)
    made = [*ask_at_once(backend).new]
    for _ in range(ROUNDS):
        live, seconds = made[-1], instants.uniform(0, 1.2)

        def end(run_id: str = live, seconds: float = seconds) -> None:
            asyncio.run(asyncio.sleep(seconds))
            backend.set_state(run_id, "COMPLETED")

        found = ask_at_once(backend, meanwhile=end)
        assert [] == found.others
        assert len(found.new) <= 1
        assert set(found.conflicts) <= {live, *found.new}
        made += found.new or ask_at_once(backend).new
    backend.end_runs()
    spans = [(run["created"], run["end_time"]) for run in list_runs(backend)]

    assert Counter(made) == Counter(run["id"] for run in list_runs(backend))
    assert [] == [(before, after) for before, after in itertools.pairwise(spans) if after[0] < before[1]]
