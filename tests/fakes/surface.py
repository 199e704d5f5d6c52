"""The surface: a door with a catalogue of models in every state, and Prefect's server behind it, without a worker."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fakes.door import Door, open_door
from fakes.provider import Provider
from fakes.site import Site, open_site
from fakes.workspace import HANDLE, Workspace, make_workspace

SEEDED = "u22a8.seeded"
BARE, UNDISCOVERED, BROKEN = "u22a8.bare", "u22a8.undiscovered", "u22a8.broken"
TRAINED, ARCHIVED = "u22a8.trained", "u22a8.archived"
PRIVATE, PUBLIC = "acme.private", "live.public"
UNKNOWN = "u22a8.nothing-of-the-kind"
HANDLES = (ARCHIVED, BARE, BROKEN, SEEDED, HANDLE, TRAINED, UNDISCOVERED)
LIFECYCLES = {
    TRAINED: {"state": "ready", "version_id": 3, "version_no": 1, "version_tags": ["stable"]},
    ARCHIVED: {"state": "archived"},
}


@dataclass
class Surface:
    """``author`` owns ``u22a8``; ``reader`` too, with the scope ``scoring``; ``stranger`` owns ``acme`` alone."""

    site: Site
    door: Door
    author: httpx.Client
    reader: httpx.Client
    stranger: httpx.Client
    nobody: httpx.Client

    def end_runs(self, state: str = "COMPLETED", message: str | None = None) -> None:
        """Ends all runs that are not over, as a worker would."""
        body = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}}}
        for run in self.site.ask("POST", "/flow_runs/filter", **body):
            self.set_state(run["id"], state, message)

    def set_state(self, run_id: str, state: str, message: str | None = None) -> None:
        """Puts a run into a state."""
        self.site.ask("POST", f"/flow_runs/{run_id}/set_state", state={"type": state, "message": message}, force=True)

    def synthesize(self, handle: str = HANDLE, **body: Any) -> httpx.Response:
        """Asks for a synthesis with the author's key."""
        return self.author.post(f"/models/{handle}/samples/synthesize", json=body)


@contextmanager
def open_surface(
    folder: Path, provider: Provider | None = None, variables: Mapping[str, str] = {}
) -> Iterator[Surface]:
    """The surface of a workspace of its own; its runs, should a worker be started, ask the provider."""
    workspace = make_workspace(folder, provider, **variables)
    fill_catalogue(workspace)
    with open_site(workspace) as site:
        site.start_deployed()
        with open_door(workspace, site.variables) as door:
            yield Surface(
                site,
                door,
                author=door.open_client(),
                reader=door.open_client(door.issue("u22a8", scope="scoring")),
                stranger=door.open_client(door.issue("acme")),
                nobody=door.open_client(""),
            )


def fill_catalogue(workspace: Workspace) -> None:
    """Copies the workspace's model for each of the handles, with what sets it apart."""
    for handle in (SEEDED, BARE, TRAINED, ARCHIVED, PRIVATE, PUBLIC):
        shutil.copytree(workspace.model, workspace.model.with_name(handle))
    for handle, lifecycle in LIFECYCLES.items():
        (workspace.model.with_name(handle) / "lifecycle.json").write_text(json.dumps(lifecycle))
    seeds = workspace.model.with_name(SEEDED) / "samples.jsonl"
    seeds.write_text(seeds.read_text() + "\n" + seeds.read_text().replace('"clarity"', '"safety"'))
    bare = workspace.model.with_name(BARE)
    (bare / "samples.jsonl").unlink()
    definition = (bare / "model.yaml").read_text()
    (bare / "model.yaml").write_text(definition.replace("sources:\n  - {type: jsonl, path: samples.jsonl}\n", ""))
    for handle, text in ((UNDISCOVERED, "traits: discover\n"), (BROKEN, "traits: {}\n")):
        workspace.model.with_name(handle).mkdir()
        (workspace.model.with_name(handle) / "model.yaml").write_text(text)
