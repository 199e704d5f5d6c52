"""The deploy step: the work pool, the deployments of prefect.yaml and the automations, on any Prefect server."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, get_current_settings
from prefect.workers.process import ProcessWorker

from engine.errors import ExemplarsError, OrchestratorError
from engine.settings import PROJECT_ROOT
from flows.automations import WATCHES, ensure_automation
from flows.unfinished import end_if_gone, list_unfinished, watch_run

POOL = "exemplars"
DEPLOY_SECONDS = 180.0
SAID_LINES = 15


@dataclass(frozen=True, slots=True)
class Deployed:
    """What stands on the server now, and what of it was ``made``, ``changed`` or ``there`` before."""

    server: str
    pool: str
    deployments: tuple[str, ...]
    automations: Counter[str]
    ended: int
    watched: int

    def __str__(self) -> str:
        automations = ", ".join(f"{count} {how}" for how, count in sorted(self.automations.items()))
        ended = f"; {self.ended} runs whose process is gone were ended" if self.ended else ""
        watched = f"; {self.watched} unfinished runs are watched" if self.watched else ""
        return (
            f"{self.server}: work pool {POOL} {self.pool}, deployments {', '.join(self.deployments)}, "
            f"automations {automations}{ended}{watched}"
        )


def deploy() -> Deployed:
    """Sets up the configured Prefect server; a second call finds all as it should be.

    Runs that are under way are ended where their process was on this host and is gone, and watched by the automations
    from now on where it may be alive. A server that was down for long has forgotten them, and would leave one whose
    process is gone running for ever.

    Raises:
        OrchestratorError: no server is configured, it does not answer, or it refuses.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise OrchestratorError("no Prefect server is configured. Set PREFECT_API_URL, or type make serve")
    try:
        with get_client(sync_client=True) as client:
            pool = _ensure_pool(client)
            _deploy_all()
            automations = Counter(ensure_automation(client, watch) for watch in WATCHES)
            return Deployed(url, pool, _list_deployments(client), automations, *_settle_unfinished(client))
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        raise OrchestratorError(f"The Prefect server at {url} does not answer as it should: {error}") from error


def main() -> int:
    """Deploys and says what it did; the exit code is the error's."""
    try:
        print(deploy())
    except ExemplarsError as error:
        print(f"exemplars: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _ensure_pool(client: SyncPrefectClient) -> str:
    try:
        pool = client.read_work_pool(POOL)
    except ObjectNotFound:
        try:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=POOL, type=ProcessWorker.type, base_job_template=template))
        except ObjectAlreadyExists:
            return "there"
        return "made"
    if pool.type != ProcessWorker.type:
        raise OrchestratorError(
            f"The work pool {POOL} is of the type {pool.type}, not {ProcessWorker.type}. Delete it: "
            f"prefect work-pool delete {POOL}"
        )
    return "there"


def _deploy_all() -> None:
    """Prefect's own command: it alone turns prefect.yaml and the flows' signatures into deployments."""
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
            cwd=PROJECT_ROOT,
            env={**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEPLOY_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OrchestratorError(f"prefect deploy --all did not end within {error.timeout:g} s") from error
    if ended.returncode:
        said = "\n".join(f"  {line}" for line in ended.stdout.strip().splitlines()[-SAID_LINES:])
        raise OrchestratorError(f"prefect deploy --all ended with {ended.returncode}:\n{said}")


def _list_deployments(client: SyncPrefectClient) -> tuple[str, ...]:
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    flows = {flow.id: flow.name for flow in client.read_flows(work_pool_filter=pool)}
    found = client.read_deployments(work_pool_filter=pool)
    return tuple(sorted(f"{flows[deployment.flow_id]}/{deployment.name}" for deployment in found))


def _settle_unfinished(client: SyncPrefectClient) -> tuple[int, int]:
    """How many of the runs that are under way were ended, and how many are watched."""
    watches = {watch.state: watch for watch in WATCHES}
    ended = watched = 0
    for run in list_unfinished(client):
        if end_if_gone(client, run):
            ended += 1
        elif run.state is not None:
            watch_run(client, run, watches[run.state.type])
            watched += 1
    return ended, watched


if __name__ == "__main__":
    sys.exit(main())
