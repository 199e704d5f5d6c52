"""A fleet: machines that share Prefect, an object store and a provider, and neither a folder nor a home."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fakes.postgres import Databases
from fakes.s3 import BUCKET, S3
from fakes.site import Site, list_flow_processes, open_site
from fakes.workspace import MARK, Workspace, kill_marked

from engine.system.filesystem import replace_file

MODELS_URI, SAMPLES_URI = (f"s3://{BUCKET}/{name}" for name in ("models", "samples"))


class Fleet:
    """Its catalogue and samples are on the object store, its replies in a database.

    The site's own workspace holds the server alone.
    """

    def __init__(self, site: Site, s3: S3, postgres: Databases) -> None:
        self.site = site
        shared = {"MODELS_URI": MODELS_URI, "SAMPLES_URI": SAMPLES_URI, "REPLIES_URL": postgres.make_database()}
        self._variables = {**s3.variables, **{f"EXEMPLARS_{name}": uri for name, uri in shared.items()}}
        root = site.workspace.folder / "models"
        for path in root.glob("*/*"):
            replace_file(f"{MODELS_URI}/{path.relative_to(root)}", path.read_bytes())

    def start_machine(self, name: str) -> None:
        place = self._find_folder(name)
        place.mkdir(parents=True)
        own = {"HOME": str(place), "PREFECT_HOME": str(place / "prefect"), "EXEMPLARS_CACHE_DIR": str(place / "cache")}
        given = {**self._variables, **own, MARK: str(place)}
        self.site.start_worker(name, folder=place, variables=given)

    def lose_machine(self, name: str) -> None:
        """Kills all that runs on it at one instant, and deletes its folder."""
        self.site.processes.pop(name)
        kill_marked(self._find_folder(name))
        shutil.rmtree(self._find_folder(name), ignore_errors=True)

    def holds(self, name: str, run_id: str) -> bool:
        return bool(list_flow_processes(Workspace(self._find_folder(name)), run_id))

    def start_backfill(self, **parameters: object) -> str:
        return self.site.start("backfill", **parameters)

    def _find_folder(self, name: str) -> Path:
        return self.site.workspace.folder / "machines" / name


@contextmanager
def open_fleet(workspace: Workspace, s3: S3, postgres: Databases) -> Iterator[Fleet]:
    """A fleet without a machine as yet, whose Prefect server is up and deployed to."""
    with open_site(workspace) as site:
        site.start_deployed()
        yield Fleet(site, s3, postgres)
