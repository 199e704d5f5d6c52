"""The stack: one Prefect server with its deployments, one HTTP API, one worker and one provider, for all tests of it.

A test takes a model of its own in the place of a server of its own, and leaves no run that is not over.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fakes.batches import BatchServer, serve_batches
from fakes.postgres import find_programs, share_databases
from fakes.provider import Behaviour, Provider
from fakes.site import DATABASE, POOL, Site, list_flow_processes, open_site
from fakes.waiting import wait_until
from fakes.workspace import ROOT, Workspace, make_workspace
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, Pause
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.api.keys import issue_key

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
RUN_SECONDS = 300.0
RUNS_AT_ONCE = 4
# Of each run's calls to the provider.
CALLS_AT_ONCE = 8
# Of a million tokens, in dollars.
PRICE = "1/2"


@dataclass
class HttpApi:
    """The HTTP API as a program, for kills: the routes are asked in this process (``fakes.surface``).

    ``url`` ends with ``/v1``; ``secret`` is that of a key that owns ``u22a8`` and may author.
    """

    workspace: Workspace
    variables: dict[str, str]
    secret: str
    url: str = ""
    process: "subprocess.Popen[str] | None" = None
    clients: list[httpx.Client] = field(default_factory=list)

    def start(self, port: int = 0) -> None:
        variables = {**self.variables, "EXEMPLARS_API_PORT": str(port), "PYTHONUNBUFFERED": "1"}
        log = (self.workspace.folder / "http_api.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.api", "serve"],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "open at http" in line, line
        self.url = line.split("open at ")[1].split(",")[0].strip()

    def open_client(self, secret: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {secret or self.secret}"}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=60)
        self.clients.append(client)
        return client

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)


@contextmanager
def open_http_api(workspace: Workspace, variables: dict[str, str]) -> Iterator[HttpApi]:
    keys = workspace.folder / "keys.json"
    secret = issue_key(keys, ["u22a8"], "authoring", datetime.now(UTC))[1]
    http_api = HttpApi(workspace, {**variables, "EXEMPLARS_KEYS_FILE": str(keys)}, secret)
    try:
        http_api.start()
        yield http_api
    finally:
        for client in http_api.clients:
            client.close()
        if http_api.process is not None:
            http_api.kill()
            assert http_api.process.stdout is not None
            http_api.process.stdout.close()


@dataclass
class Stack:
    """``author`` owns ``u22a8``; ``server`` is the provider's, with its batches."""

    site: Site
    http_api: HttpApi
    server: BatchServer
    author: httpx.Client

    @property
    def provider(self) -> Provider:
        return self.server.provider

    @property
    def workspace(self) -> Workspace:
        return self.site.workspace

    def add_model(self, name: str) -> str:
        """The handle of a new model like ``HANDLE``, called by a test's name."""
        handle = f"u22a8.{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')[:48].rstrip('-')}"
        shutil.copytree(self.workspace.model, self.workspace.model.with_name(handle))
        return handle

    def run_here(self, handle: str, **parameters: Any) -> State[Any]:
        """Runs the flow in a thread of this process, as a script does, and returns the state in which it ends."""
        from flows.synthesize import synthesize

        async def run() -> State[Any]:
            with temporary_settings({PREFECT_API_URL: self.site.url}):
                return await synthesize(handle, effort="low", **parameters, return_state=True)

        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
            self.workspace.enter(patch)
            return thread.submit(lambda: asyncio.run(run())).result()

    @contextmanager
    def taking_runs(self) -> Iterator[None]:
        """Takes the pool's runs in threads of this process: for the worker each is a process more."""
        over, worker = threading.Event(), self.site.processes["worker"].pid
        os.kill(worker, signal.SIGSTOP)
        try:
            with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as threads:
                self.workspace.enter(patch)
                taking = threads.submit(self._take_runs, over, threads)
                try:
                    yield
                finally:
                    self.provider.behaviour = Behaviour()
                    over.set()
                    taking.result()
        finally:
            os.kill(worker, signal.SIGCONT)

    def _take_runs(self, over: threading.Event, threads: ThreadPoolExecutor) -> None:
        # One that is resumed is taken once more.
        taken: dict[str, Future[None]] = {}
        while not over.wait(0.5):
            due = {"scheduled_before": datetime.now(UTC).isoformat()}
            found = self.site.ask("POST", f"/work_pools/{POOL}/get_scheduled_flow_runs", **due)
            for run_id in [each["flow_run"]["id"] for each in found]:
                if run_id not in taken or taken[run_id].done():
                    taken[run_id] = threads.submit(asyncio.run, self._take_run(UUID(run_id)))
        for run in taken.values():
            run.result()

    async def _take_run(self, run_id: UUID) -> None:
        with temporary_settings({PREFECT_API_URL: self.site.url}):
            async with get_client() as client:
                run = await client.read_flow_run(run_id)
                deployment = await client.read_deployment(str(run.deployment_id))
            module, _, name = str(deployment.entrypoint).rpartition(".")
            # One that is suspended, or not let begin.
            with suppress(Pause, Abort):
                running: Any = run_flow(getattr(import_module(module), name), run, return_type="state")
                await running

    def read_logs(self, run_id: str) -> str:
        lines = self.site.ask("POST", "/logs/filter", logs={"flow_run_id": {"any_": [run_id]}})
        return "\n".join(line["message"] for line in lines)

    def suspend(self, handle: str) -> tuple[str, Path]:
        """A run that waits for a review, and the folder of its set."""
        run_id = self.site.start_run(handle=handle, review=True)
        self.wait_until_suspended(run_id)
        return run_id, self.workspace.find_set(run_id)

    def wait_until_suspended(self, run_id: str) -> None:
        """Waits for it; a run that has ended in place of that fails the test."""
        wait_until(lambda: self.site.read_state(run_id)[0] in ("PAUSED", *ENDED), RUN_SECONDS)
        assert "PAUSED" == self.site.read_state(run_id)[0], self.site.read_state(run_id)

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
    given |= {"EXEMPLARS_SYNTH_PRICE": PRICE}
    with serve_batches() as server, open_site(make_workspace(folder, server.provider, **given)) as site:
        site.start_deployed()
        site.start_worker(limit=RUNS_AT_ONCE)
        with open_http_api(site.workspace, site.variables) as http_api:
            yield Stack(site, http_api, server, http_api.open_client())
