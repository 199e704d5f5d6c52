"""The stack: one Prefect server with its deployments, one HTTP API, one worker and one provider, for all tests of it.

A test takes a model of its own in the place of a server of its own, and leaves no run that is not over.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from fakes.door import Door, open_door
from fakes.postgres import find_programs, share_databases
from fakes.provider import Provider, serve_provider
from fakes.site import DATABASE, Site, open_site
from fakes.waiting import wait_until
from fakes.workspace import Workspace, make_workspace

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
RUN_SECONDS = 180.0
RUNS_AT_ONCE = 4


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
        """The catalogue, the store and the cache of all runs."""
        return self.site.workspace

    def add_model(self, name: str) -> str:
        """The handle of a new model like ``HANDLE``, called by a test's name."""
        handle = f"u22a8.{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')[:48].rstrip('-')}"
        shutil.copytree(self.workspace.model, self.workspace.model.with_name(handle))
        return handle

    def start_run(self, handle: str, **parameters: object) -> str:
        """Asks Prefect for a run of the deployment, and returns its id."""
        return self.site.start_run(handle=handle, **parameters)

    def wait_for_end(self, run_id: str) -> tuple[str, str]:
        """The type and the message of the state in which a run has ended."""
        wait_until(lambda: self.site.read_state(run_id)[0] in ENDED, RUN_SECONDS, f"run {run_id} is over")
        return self.site.read_state(run_id)

    def list_runs(self, handle: str) -> list[str]:
        """The ids of all runs of a model, whatever their state."""
        runs = self.site.ask("POST", "/flow_runs/filter", limit=200, sort="EXPECTED_START_TIME_DESC")
        return [run["id"] for run in runs if run["parameters"].get("handle") == handle]


@contextmanager
def open_stack(folder: Path) -> Iterator[Stack]:
    """The stack, whose processes are gone afterwards.

    The server's database is PostgreSQL where that is installed: on SQLite a writer may be sent away, and the form of
    Prefect's UI would not come again.
    """
    given = {}
    if find_programs() is not None:
        given[DATABASE] = share_databases().make_database().replace("postgresql:", "postgresql+asyncpg:")
    with serve_provider() as provider, open_site(make_workspace(folder, provider, **given)) as site:
        site.start_deployed()
        site.start_worker(limit=RUNS_AT_ONCE)
        with open_door(site.workspace, site.variables) as door:
            yield Stack(site, door, provider, door.open_client(), door.open_client(door.issue("acme")))
