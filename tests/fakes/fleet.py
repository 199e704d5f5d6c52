"""A fleet: machines that share Prefect, an object store and a provider, and neither a folder nor a home."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fakes.postgres import Databases
from fakes.s3 import BUCKET, S3
from fakes.site import POOL, Site, open_site
from fakes.workspace import Workspace

from engine.system.filesystem import replace_file

MACHINE = "EXEMPLARS_TEST_MACHINE"
MODELS_URI, SAMPLES_URI = (f"s3://{BUCKET}/{name}" for name in ("models", "samples"))


class Fleet:
    """Its catalogue and samples are on the object store, its replies in a database.

    The site's own workspace holds the server alone.
    """

    def __init__(self, site: Site, s3: S3, postgres: Databases) -> None:
        self.site = site
        self._replies_url = postgres.make_database()
        self._s3 = s3
        self._folder = site.workspace.folder / "machines"

    @property
    def variables(self) -> dict[str, str]:
        """What every machine is told of what all share."""
        shared = {"MODELS_URI": MODELS_URI, "SAMPLES_URI": SAMPLES_URI, "REPLIES_URL": self._replies_url}
        return self._s3.variables | {f"EXEMPLARS_{name}": uri for name, uri in shared.items()}

    def upload_models(self) -> None:
        """Puts the workspace's catalogue on the store."""
        root = self.site.workspace.folder / "models"
        for path in root.rglob("*"):
            if path.is_file():
                replace_file(f"{MODELS_URI}/{path.relative_to(root)}", path.read_bytes())

    def start_machine(self, name: str) -> None:
        """A worker with a folder, a home and a cache of its own."""
        place = self._folder / name
        place.mkdir(parents=True)
        own = {"HOME": str(place), "PREFECT_HOME": str(place / "prefect"), MACHINE: str(place)}
        with (place / "worker.log").open("ab") as log:
            self.site.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--limit", "1"],
                cwd=place,
                env={**self.site.variables, **self.variables, **own, "EXEMPLARS_CACHE_DIR": str(place / "cache")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lose_machine(self, name: str) -> None:
        """Kills all that runs on it at one instant, and deletes its folder."""
        self.site.processes.pop(name)
        while doomed := self.list_processes(name):
            for pid in doomed:
                # It may end by itself meanwhile.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def list_processes(self, name: str) -> list[int]:
        """What runs on a machine and is not dead."""
        # By its folder: another fleet may have a machine of that name.
        marked = f"{MACHINE}={self._folder / name}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                alive = (folder / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
                if alive and marked in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def holds(self, name: str, run_id: str) -> bool:
        """Whether a machine has the process of a run."""
        marked = f"PREFECT__FLOW_RUN_ID={run_id}".encode()
        for pid in self.list_processes(name):
            with suppress(OSError):
                if marked in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    return True
        return False

    def start_backfill(self, **parameters: object) -> str:
        """Asks for a backfill and returns its run id."""
        deployment = self.site.ask("GET", "/deployments/name/backfill/on-demand")
        asked: dict[str, Any] = {"parameters": parameters}
        created = self.site.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", **asked)
        return str(created["id"])


@contextmanager
def open_fleet(workspace: Workspace, s3: S3, postgres: Databases) -> Iterator[Fleet]:
    """A fleet without a machine as yet, whose Prefect server is up and deployed to."""
    with open_site(workspace) as site:
        site.start_deployed()
        fleet = Fleet(site, s3, postgres)
        fleet.upload_models()
        yield fleet
