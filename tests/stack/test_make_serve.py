"""``make serve`` from its start to Ctrl-C, with a run in between, on a server and ports of its own."""

import os
import select
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fakes.database import NAME, lay_database
from fakes.provider import Behaviour, Provider, serve_provider
from fakes.site import POOL, Site, answers, find_free_port, open_site
from fakes.waiting import wait_until
from fakes.workspace import ROOT, make_workspace

from flows.deploy.unfinished_runs import GONE

START_SECONDS, STOP_SECONDS = 280.0, 60.0


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve_provider(Behaviour(hold_after=4)) as served:
        yield served


@pytest.fixture
def site(tmp_path: Path, provider: Provider) -> Iterator[Site]:
    """Where it is going to serve."""
    with open_site(make_workspace(tmp_path, provider)) as opened:
        yield opened


def test_serve_runs_a_flow_and_one_ctrl_c_ends_all_of_it(site: Site, provider: Provider) -> None:
    folder, port, door = site.workspace.folder, site.port, find_free_port()
    lay_database(folder / "prefect")
    variables = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_API_PORT": str(port),
        "EXEMPLARS_API_PORT": str(door),
        "EXEMPLARS_KEYS_FILE": str(folder / "keys.json"),
        "PYTHONPATH": str(ROOT),
    }
    process = site.workspace.start(program=(sys.executable, "-m", "flows.serve"), **variables)
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], START_SECONDS)[0]
    line = process.stdout.readline()
    up = [answers(f"http://127.0.0.1:{place}") for place in (f"{port}/", f"{door}/v1/health")]
    ui = httpx.get(f"http://127.0.0.1:{port}/ui-settings").json()["api_url"]
    [worker] = site.ask("POST", f"/work_pools/{POOL}/workers/filter")
    run = site.start_run()
    wait_until(lambda: provider.in_flight > 0, 120, "it asks", process=process)
    os.killpg(process.pid, signal.SIGINT)
    left = site.workspace.wait_for_no_process(STOP_SECONDS)
    told, said = process.communicate(timeout=60)
    logs = sorted(path.name for path in (folder / "logs").iterdir())

    assert (
        f"Prefect http://127.0.0.1:{port} · door http://127.0.0.1:{door}/v1 · logs {folder}/logs · "
        "next, a key: .venv/bin/python -m flows.api keys issue --namespace u22a8 --scope authoring\n"
    ) == line
    assert ([True, True], f"{site.url}") == (up, ui)
    assert f"make serve on {socket.gethostname()}" == worker["name"]
    assert (0, "", {}) == (process.returncode, told, left), said
    assert said.endswith("exemplars: everything is stopped\n")
    assert 2 == said.count("\n"), said
    assert ["deploy.log", "door.log", "prefect.log", "worker.log"] == logs
    assert ("CRASHED", GONE) == read_state(folder / "prefect" / NAME, run)


def read_state(database: Path, run_id: str) -> tuple[str, str]:
    """What a server that is gone has written down of a run."""
    query = "SELECT type, message FROM flow_run_state WHERE id = (SELECT state_id FROM flow_run WHERE id = ?)"
    with closing(sqlite3.connect(database)) as opened:
        kind, message = opened.execute(query, (run_id,)).fetchone()
    return str(kind), str(message)
