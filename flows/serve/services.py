"""Defines the services of ``make serve``: Prefect's server, the deploy step, a worker and the HTTP door."""

import os
import socket
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from engine.settings import LogFormat
from flows.deploy.unfinished_runs import end_runs
from flows.deploy.work_pool import POOL
from flows.observability.json_logs import PREFECT_JSON_VARIABLES
from flows.serve.ports import ASK_SECONDS, answers
from flows.serve.service import Service

# Together with what the processes around the services take, these stay below the 10 s that a Ctrl-C may take.
DOOR_STOP_SECONDS, WORKER_STOP_SECONDS, SETTLE_SECONDS, SERVER_STOP_SECONDS = 1.5, 4.0, 1.0, 1.5
# Each run is a process that takes 7 CPU-seconds to import and 400 MB; more of them would stay pending for minutes.
MAX_RUNS = 8
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
STOPPED = (
    "The worker of this run ended during the run: make serve was stopped, or the worker died. The replies so far are "
    "kept: a new run of this model asks only for what is missing."
)


@dataclass(frozen=True, slots=True)
class Site:
    """The addresses of all services; ``api_url`` is a configured Prefect server's, None if one is to be started."""

    prefect_host: str
    prefect_port: int
    api_url: str | None
    door_host: str
    door_port: int
    log_format: LogFormat = "text"
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @property
    def prefect_api(self) -> str:
        """The address of Prefect's API: the configured one, else that of the server that is started here."""
        return self.api_url or f"http://{name_host(self.prefect_host)}:{self.prefect_port}/api"

    @property
    def door(self) -> str:
        """The address of the HTTP door."""
        return f"http://{name_host(self.door_host)}:{self.door_port}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of every service: the given one, with this Prefect server and without analytics."""
        defaults = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
        defaults |= PREFECT_JSON_VARIABLES if self.log_format == "json" else {}
        return {**defaults, **self.environment, "PREFECT_API_URL": self.prefect_api}


def make_server(site: Site) -> Service:
    """Prefect's server. It keeps leases in files: from memory a killed server would never release those it had."""
    where = ["--host", site.prefect_host, "--port", str(site.prefect_port)]
    defaults = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES, "PREFECT_UI_API_URL": site.prefect_api}
    return Service(
        "prefect",
        (sys.executable, "-m", "prefect", "server", "start", *where),
        {**defaults, **site.variables},
        SERVER_STOP_SECONDS,
        ask_ready=lambda _: answers(f"{site.prefect_api}/health"),
    )


def make_deploy(site: Site) -> Service:
    """The deploy step, which must end before the worker and the HTTP door start."""
    return Service("deploy", (sys.executable, "-m", "flows.deploy"), site.variables, ASK_SECONDS, once=True)


def make_worker(site: Site) -> Service:
    """A worker that polls for runs every second, so that a run starts within five."""
    name = f"make serve on {socket.gethostname()}"
    options = ["--pool", POOL, "--name", name, "--limit", str(MAX_RUNS)]
    return Service(
        "worker",
        (sys.executable, "-m", "prefect", "worker", "start", *options),
        {"PREFECT_WORKER_QUERY_SECONDS": "1", "EXEMPLARS_API_URL": site.door, **site.variables},
        WORKER_STOP_SECONDS,
        ask_ready=lambda since: has_worker(site.prefect_api, name, since),
        settle=lambda runs: settle_runs(site.prefect_api, runs),
    )


def make_door(site: Site) -> Service:
    """The HTTP door."""
    return Service(
        "door",
        (sys.executable, "-m", "flows.api", "serve"),
        site.variables,
        DOOR_STOP_SECONDS,
        ask_ready=lambda _: answers(f"{site.door}/v1/health"),
    )


def has_worker(api: str, name: str, since: float) -> bool:
    """Whether the server has received a heartbeat of the worker of this name since that time."""
    try:
        with _open_client(api) as client:
            workers = client.read_workers_for_work_pool(POOL)
    except (httpx.HTTPError, PrefectException):
        return False
    heard = [worker.last_heartbeat_time for worker in workers if worker.name == name]
    return any(moment is not None and moment.timestamp() >= since for moment in heard)


def settle_runs(api: str, run_ids: Collection[str]) -> None:
    """Reports to the server that these runs have ended; if that fails, the server's automations end them later."""
    if not run_ids or not answers(f"{api}/health"):
        return
    # SQLite under several writers makes Prefect answer 503 at once.
    again = Retrying(
        retry=retry_if_exception_type((httpx.HTTPError, PrefectException)),
        wait=wait_fixed(SETTLE_SECONDS / 10),
        stop=stop_after_delay(SETTLE_SECONDS),
        reraise=True,
    )
    try:
        with _open_client(api) as client:
            again(end_runs, client, run_ids, STOPPED)
    except (httpx.HTTPError, PrefectException) as error:
        print(f"exemplars: Prefect's server does not know that {len(run_ids)} runs stopped: {error}", file=sys.stderr)


@contextmanager
def _open_client(api: str) -> Iterator[SyncPrefectClient]:
    """A client without retries: the server may be starting or stopping, and nobody waits for it here."""
    once = temporary_settings({PREFECT_API_URL: api, PREFECT_CLIENT_MAX_RETRIES: 0})
    with once, get_client({"timeout": SETTLE_SECONDS}, sync_client=True) as client:
        yield client


def name_host(host: str) -> str:
    """A host as it stands in a URL; one that means every interface becomes the loopback address."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{reached}]" if ":" in reached else reached
