"""A site: a Prefect server of a test's own, with a worker where one is wanted, all gone when the test is over."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fakes.database import keep_deployed, lay_database, lay_deployed
from fakes.ports import find_free_port
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, MARK, ROOT, Workspace, kill_marked

START_SECONDS = 240.0
POOL = "exemplars"
# Prefect's variable for another database than SQLite's, which is a file.
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
# Connections are not kept, since servers are killed; a client for each request would be five times dearer.
CLIENT = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass
class Site:
    workspace: Workspace
    port: int
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def variables(self) -> dict[str, str]:
        """Nothing of what the test itself has set of Prefect's and of ours."""
        return {**clear_environment(), **self.workspace.variables, **self._prefect(), "PREFECT_API_URL": self.url}

    def start_server(self) -> None:
        lay_database(Path(self.variables["PREFECT_HOME"]))
        self._start("server", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        server = self.processes["server"]
        wait_until(lambda: answers(f"{self.url}/health"), START_SECONDS, "the Prefect server answers", process=server)

    def start_deployed(self) -> None:
        """Starts the server as it is after the deploy step, which is taken once in a session of tests."""
        home, is_file = Path(self.variables["PREFECT_HOME"]), DATABASE not in self.variables
        if is_file and lay_deployed(home):
            self.start_server()
            return
        self.start_server()
        self.deploy()
        if is_file:
            keep_deployed(home)

    def start_worker(self, name: str = "worker", limit: int = 1) -> None:
        """Starts a worker of the pool, in an empty folder; it picks runs, so many at a time, as soon as it is up."""
        folder = self.workspace.folder / f"{name}-folder"
        folder.mkdir(exist_ok=True)
        words = ("-m", "prefect", "worker", "start", "--pool", POOL, "--limit", str(limit))
        self._start(name, *words, folder=folder)

    def deploy(self, **variables: str) -> str:
        command, given = [sys.executable, "-m", "flows.deploy"], {**self.variables, **variables}
        done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stderr
        return done.stdout

    def find_deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/deployments/name/{name}")
        return found

    def list_workers(self) -> list[str]:
        """The names of the workers that the server has heard of."""
        return [worker["name"] for worker in self.ask("POST", f"/work_pools/{POOL}/workers/filter")]

    def ask(self, method: str, path: str, **fields: object) -> Any:
        return ask_server(self.url, method, path, **fields)

    def start_run(self, **parameters: object) -> str:
        return self.start(
            "synthesize", **{"handle": HANDLE, "synth_type": "from_traits", "effort": "low", **parameters}
        )

    def start(self, flow: str, **parameters: object) -> str:
        """Asks for a run of a flow's deployment ``on-demand`` and returns its id."""
        deployment = self.find_deployment(f"{flow}/on-demand")
        created = self.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", parameters=parameters)
        return str(created["id"])

    def read_state(self, run_id: str) -> tuple[str, str]:
        state = self.ask("GET", f"/flow_runs/{run_id}")["state"]
        return str(state["type"]), str(state["message"])

    def set_state(self, run_id: str, state: str, **fields: object) -> None:
        """Puts a run into a state, whatever Prefect's rules say."""
        self.ask("POST", f"/flow_runs/{run_id}/set_state", state={"type": state, **fields}, force=True)

    def end_runs(self) -> None:
        live = {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}}
        for run in self.ask("POST", "/flow_runs/filter", flow_runs=live):
            self.set_state(run["id"], "COMPLETED")

    def kill(self, *names: str) -> None:
        """``kill -9`` of processes of the site at one instant; ``flows`` is whatever the workers have started."""
        doomed = [self.processes.pop(name).pid for name in names if name != "flows"]
        if "flows" in names:
            doomed += list(list_flow_processes(self.workspace))
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        kill_marked(self.workspace.folder)
        for process in self.processes.values():
            process.wait()

    def _prefect(self) -> dict[str, str]:
        return {
            "PREFECT_HOME": str(self.workspace.folder / "prefect"),
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "DO_NOT_TRACK": "1",
            # Flow processes stand in folders of their own, and are to run this code.
            "PYTHONPATH": str(ROOT),
            MARK: str(self.workspace.folder),
        }

    def _start(self, name: str, *arguments: str, folder: Path = ROOT) -> None:
        with (self.workspace.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


@contextmanager
def open_site(workspace: Workspace) -> Iterator[Site]:
    site = Site(workspace, find_free_port())
    try:
        yield site
    finally:
        site.end()


def list_flow_processes(workspace: Workspace, run_id: str = "") -> dict[int, str]:
    """The command lines of the workspace's processes that belong to a flow run of a worker, to this one if told."""
    mark, processes = f"PREFECT__FLOW_RUN_ID={run_id}".encode(), workspace.list_processes().items()
    return {pid: line for pid, line in processes if mark in _read_environment(pid)}


def ask_server(api: str, method: str, path: str, **fields: object) -> Any:
    """One request to a Prefect server, its JSON answer; on SQLite a writer may be sent away, and comes again."""
    for _ in range(100):
        response = CLIENT.request(method, f"{api}{path}", json=fields or None)
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(0.05)
    response.raise_for_status()
    return response.json() if response.content else None


def answers(url: str) -> bool:
    try:
        return CLIENT.get(url, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def clear_environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT_", "EXEMPLARS_"))}


def _read_environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
