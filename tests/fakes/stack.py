"""The stack: one Prefect server with its deployments, one HTTP API, one worker and one provider, for all tests of it.

A test takes a model of its own in the place of a server of its own, and leaves no run that is not over.
"""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.door import Door, open_door
from fakes.postgres import find_programs, share_databases
from fakes.provider import Provider, serve_provider
from fakes.site import DATABASE, Site, list_flow_processes, open_site
from fakes.waiting import wait_until
from fakes.workspace import Workspace, make_workspace
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL, temporary_settings

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
RUN_SECONDS = 300.0
RUNS_AT_ONCE = 4
# Of each run's calls to the provider.
CALLS_AT_ONCE = 8


@dataclass
class Stack:
    """``author`` owns ``u22a8``, ``stranger`` owns ``acme`` alone."""

    site: Site
    door: Door
    provider: Provider
    author: httpx.Client
    stranger: httpx.Client

    @property
    def workspace(self) -> Workspace:
        return self.site.workspace

    def add_model(self, name: str) -> str:
        """The handle of a new model like ``HANDLE``, called by a test's name."""
        handle = f"u22a8.{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')[:48].rstrip('-')}"
        shutil.copytree(self.workspace.model, self.workspace.model.with_name(handle))
        return handle

    def start_run(self, handle: str, **parameters: object) -> str:
        return self.site.start_run(handle=handle, **parameters)

    def start_backfill(self, **parameters: object) -> str:
        return self.site.start("backfill", **{"effort": "low", "namespace": None, **parameters})

    def run_here(self, handle: str, **parameters: Any) -> State[Any]:
        """Runs the flow in a thread of this process, as a script does, and returns the state in which it ends."""
        from flows.synthesize import synthesize

        async def run() -> State[Any]:
            with temporary_settings({PREFECT_API_URL: self.site.url}):
                return await synthesize(handle, effort="low", **parameters, return_state=True)

        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
            self.workspace.enter(patch)
            return thread.submit(lambda: asyncio.run(run())).result()

    def name_state(self, run_id: str) -> str:
        """The name of a run's state, such as ``Suspended``, whose type is ``PAUSED``."""
        return str(self.site.ask("GET", f"/flow_runs/{run_id}")["state"]["name"])

    def read_logs(self, run_id: str) -> str:
        lines = self.site.ask("POST", "/logs/filter", logs={"flow_run_id": {"any_": [run_id]}})
        return "\n".join(line["message"] for line in lines)

    def suspend(self, handle: str) -> tuple[str, Path]:
        """A run that waits for a review, and the folder of its set."""
        run_id = self.start_run(handle, review=True)
        self.wait_until_suspended(run_id)
        return run_id, self.workspace.find_set(run_id)

    def wait_until_suspended(self, run_id: str) -> None:
        """Waits for it; a run that has ended in place of that fails the test."""
        wait_until(lambda: self.name_state(run_id) in ("Suspended", *map(str.capitalize, ENDED)), RUN_SECONDS)
        assert "Suspended" == self.name_state(run_id), self.site.read_state(run_id)

    def resume(self, run_id: str, **fields: Any) -> None:
        """Fills in a suspended run's form; a moment after it is suspended Prefect does not have that yet."""

        def resume() -> bool:
            return bool(self.site.ask("POST", f"/flow_runs/{run_id}/resume", run_input=fields)["status"] == "ACCEPT")

        wait_until(resume, 30, "it is resumed")

    def wait_until_held(self, answered: int) -> None:
        """Waits until so many calls were answered, and a run waits for as many as it may have in flight."""
        held = answered, CALLS_AT_ONCE
        wait_until(lambda: held == (self.provider.answers.total(), self.provider.in_flight), RUN_SECONDS, f"{held}")

    def kill_run(self, run_id: str, *names: str) -> None:
        """``kill -9`` of all processes of a run, and of the site's of these names, at one instant."""
        doomed = list_flow_processes(self.workspace, run_id)
        assert doomed
        self.site.kill(*names)
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start_worker(self) -> None:
        if "worker" not in self.site.processes:
            self.site.start_worker(limit=RUNS_AT_ONCE)

    def wait_for_end(self, run_id: str) -> tuple[str, str]:
        wait_until(lambda: self.site.read_state(run_id)[0] in ENDED, RUN_SECONDS, f"run {run_id} is over")
        return self.site.read_state(run_id)

    def list_runs(self, handle: str) -> list[str]:
        asked = {"flows": {"name": {"any_": ["synthesize"]}}, "limit": 200, "sort": "EXPECTED_START_TIME_DESC"}
        runs = self.site.ask("POST", "/flow_runs/filter", **asked)
        return [run["id"] for run in runs if run["parameters"].get("handle") == handle]


@contextmanager
def open_stack(folder: Path) -> Iterator[Stack]:
    """The stack, whose processes are gone afterwards.

    The server's database is PostgreSQL where that is installed: on SQLite a writer may be sent away, and the form of
    Prefect's UI would not come again.
    """
    given = {}
    if find_programs() is not None:
        given[DATABASE] = share_databases().make_database("+asyncpg")
    # A call that is held back must not give up.
    given |= {"EXEMPLARS_CONCURRENCY": str(CALLS_AT_ONCE), "EXEMPLARS_CALL_TIMEOUT_SECONDS": "3600"}
    with serve_provider() as provider, open_site(make_workspace(folder, provider, **given)) as site:
        site.start_deployed()
        site.start_worker(limit=RUNS_AT_ONCE)
        with open_door(site.workspace, site.variables) as door:
            yield Stack(site, door, provider, door.open_client(), door.open_client(door.issue("acme")))
