"""Races: however many ask at the same instant, one run is made; at length on Prefect's SQLite and PostgreSQL."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest
from fakes.long import long
from fakes.site import DATABASE, Site, open_site
from fakes.stack import HttpApi, open_http_api
from fakes.surface import Surface, ask_as, read_settings_of
from fakes.workspace import HANDLE, make_workspace

from flows.api.app import make_app
from flows.run.flow_runs import ENDED_TYPES

CALLERS, ROUNDS = 20, 50
PATH = f"/models/{HANDLE}/samples/synthesize"


@pytest.fixture
def other_door(surface: Surface) -> httpx.Client:
    """Another server to the same runs, with a lock of its own."""
    orchestrator = replace(surface.orchestrator, creation_lock=asyncio.Lock())
    app = make_app(read_settings_of(surface.workspace), orchestrator=orchestrator)
    return ask_as(app, surface.portal, surface.secret)


def ask_in_threads(
    *clients: httpx.Client, meanwhile: Callable[[], object] = lambda: None
) -> tuple[list[str], set[str]]:
    """Twenty requests at the same instant, to each client its share: the runs made, and those told to be in the way."""
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        other = pool.submit(meanwhile)
        asked = itertools.islice(itertools.cycle(clients), CALLERS)
        answers = list(pool.map(lambda client: client.post(PATH, json={"effort": "low"}), asked))
        other.result()
    assert {202, 409} >= {answer.status_code for answer in answers}
    made = [answer.json()["run_id"] for answer in answers if answer.status_code == 202]
    return made, {answer.headers["X-Run-Id"] for answer in answers if answer.status_code == 409}


def test_of_requests_at_one_instant_one_makes_a_run(surface: Surface, other_door: httpx.Client) -> None:
    for ended in ENDED_TYPES:
        [made], told = ask_in_threads(surface.author, other_door)
        surface.orchestrator.end_runs(ended)
        assert {made} == told

    assert len(ENDED_TYPES) == len(surface.orchestrator.runs)


def test_run_that_ends_meanwhile_lets_one_successor_in(surface: Surface, other_door: httpx.Client) -> None:
    runs = surface.orchestrator
    made = [surface.synthesize(effort="low").json()["run_id"]]
    for _ in range(10):
        live = made[-1]
        new, told = ask_in_threads(surface.author, other_door, meanwhile=partial(runs.set_state, live, "COMPLETED"))
        made += new or [surface.synthesize(effort="low").json()["run_id"]]
        assert len(new) <= 1
        assert told <= {live, *new}

    assert made == list(runs.runs)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Site, HttpApi]]:
    """The HTTP API of a server on either of Prefect's databases, without a worker; SQLite is the default."""
    variables = {}
    if request.param == "postgresql":
        variables[DATABASE] = request.getfixturevalue("postgres").make_database("+asyncpg")
    with open_site(make_workspace(tmp_path / "served", None, **variables)) as site:
        site.start_deployed()
        with open_http_api(site.workspace, site.variables) as http_api:
            yield site, http_api


@long
@pytest.mark.timeout(3600)
def test_of_requests_at_two_apis_one_makes_a_run_whenever_the_last_one_ends(backend: tuple[Site, HttpApi]) -> None:
    site, first = backend
    chance, made = random.Random(7), list[str]()
    with open_http_api(first.workspace, first.variables) as second:
        clients = (first.open_client(), second.open_client(first.secret))
        for _ in range(ROUNDS):
            [live], told = ask_in_threads(*clients)
            assert {live} == told
            seconds, ended = chance.uniform(0, 1.2), chance.choice(ENDED_TYPES)

            def end(run_id: str = live, seconds: float = seconds, ended: str = ended) -> None:
                time.sleep(seconds)
                site.set_state(run_id, ended)

            new, told = ask_in_threads(*clients, meanwhile=end)
            made += [live, *new]
            assert len(new) <= 1
            assert told <= {live, *new}
            site.end_runs()
    spans = list[tuple[str, str, str]]()
    while page := site.ask("POST", "/flow_runs/filter", offset=len(spans), sort="EXPECTED_START_TIME_ASC"):
        spans += [(run["id"], run["created"], run["end_time"]) for run in page]

    assert sorted(made) == sorted(run_id for run_id, _, _ in spans)
    assert [] == [(before, after) for before, after in itertools.pairwise(spans) if after[1] < before[2]]
