"""A night of ``MODELS=500`` by batches, from the first plan to the last set, with a clock that is moved by half hours.

All in this process but Prefect's server, which is on PostgreSQL, as that of a night should be: seconds, files, lines,
and what was asked live.
"""

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.batch_clock import move_clock
from fakes.batches import Manner, serve_batches
from fakes.catalogue import NAMESPACE, make_catalogue
from fakes.postgres import Databases
from fakes.provider import Behaviour
from fakes.site import DATABASE, open_site
from fakes.workspace import Workspace
from prefect.settings import PREFECT_API_URL, temporary_settings

MODELS = int(os.environ.get("MODELS", "500"))

HALF_HOUR, HOURS_OUT = 1800.0, 5
# Of its issue's aims.
MOST_FILES = 2


@pytest.fixture
def prefect_server(tmp_path_factory: pytest.TempPathFactory, postgres: Databases) -> Iterator[str]:
    database = {DATABASE: postgres.make_database("+asyncpg")}
    with open_site(Workspace(tmp_path_factory.mktemp("prefect"), database)) as site:
        site.start_server()
        with temporary_settings({PREFECT_API_URL: site.url}):
            yield site.url


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.usefixtures("prefect_server")
def test_night_goes_in_two_files_at_most_and_attaches_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.backfill import backfill

    with serve_batches(Behaviour(), Manner(seconds=HOURS_OUT * 3600)) as server:
        workspace = make_catalogue(tmp_path, server.provider, MODELS, EXEMPLARS_SYNTH_PRICE="1/2")
        workspace.enter(monkeypatch)
        passes = move_clock(monkeypatch, server, HALF_HOUR)
        begun = time.monotonic()
        counts = asyncio.run(backfill(namespace=NAMESPACE, effort="low", batch="first", max_cost_usd=100.0))
        seconds = time.monotonic() - begun
    sent = server.submitted
    print(f"\n{MODELS} models: {counts} after {seconds:.0f} s, the batch sent after {passes[0] - begun:.0f} s")
    sizes = [len(batch.lines) for batch in server.batches.values()]
    print(f"{len(sizes)} files of {sizes} lines, {len(passes)} passes over {HOURS_OUT} h; ", end="")
    print(f"{server.provider.calls.total() - sent.total()} of {server.provider.calls.total()} calls live; ", end="")
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")

    assert {"attached": MODELS} == counts
    assert MOST_FILES >= len(sizes)
    assert {1} == set(sent.values()) == set(server.billed.values())
    assert MODELS == len(workspace.list_sets())
