"""The command ``make deploy``: sets up work pool, queues, deployments, automations and alerts on a Prefect server."""

import sys
from collections.abc import Iterator
from importlib.metadata import version

import httpx
from packaging.version import Version
from prefect.client.base import ServerType
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL

from engine.errors import OrchestratorError
from engine.settings import Settings, read_settings
from engine.text.formatting import count_noun
from flows.deploy.automations import alert_missed_nightly, ensure_alerts, ensure_automation, read_automations
from flows.deploy.deployments import Deployments, deploy_all
from flows.deploy.unfinished_runs import end_gone_runs, watch_run
from flows.deploy.work_pool import CONTAINERS, POOL, QUEUES, ensure_pool, ensure_queues
from flows.exit_codes import guard_output, report_error

# Whose end is a morning.
NIGHTLY, COLLECTOR = "catalogue/nightly", "batches/collect"
REMEDY = (
    "Check that it runs, that PREFECT_API_URL is its address, which ends in /api, and that PREFECT_API_AUTH_STRING "
    "(user:password), or PREFECT_API_KEY for Prefect Cloud, is what it asks for"
)


def main() -> int:
    """Deploys, prints what it did, and returns the exit code."""
    guard_output()
    try:
        print(deploy(read_settings()))
    except Exception as error:
        return report_error(error)
    return 0


def deploy(settings: Settings) -> str:
    """Sets up the configured Prefect server; a second call changes nothing.

    Unfinished runs are ended if their process was on this host and is gone. Where that cannot be known the automations
    watch them again: a server that was down for long has stopped that, and would show a run whose process is gone as
    running for ever.

    Raises:
        OrchestratorError: no server is configured, or it does not answer, refuses access, or has another version.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise OrchestratorError("no Prefect server is configured. Set PREFECT_API_URL, or run make serve")
    try:
        with get_client(sync_client=True) as client:
            found = check_server(client)
            lines = [f"  {kind}: {said}" for kind, said in _set_up(client, settings)]
    except (httpx.HTTPError, PrefectException) as error:
        raise OrchestratorError(f"The Prefect server at {url} does not answer as it should: {error}") from error
    return "\n".join([f"Prefect {found} at {url}", *lines])


def check_server(client: SyncPrefectClient) -> str:
    """The version of the server; Prefect Cloud's is ``Cloud``.

    Prefect's own check refuses another major version alone, and of an older server it only logs a warning.

    Raises:
        OrchestratorError: it does not answer, refuses access, is not Prefect's, or is older than the installed Prefect.
    """
    if client.server_type == ServerType.CLOUD:
        return "Cloud"
    server = f"The Prefect server at {str(client.api_url).rstrip('/')}"
    try:
        found = Version(client.api_version())
    except (httpx.HTTPError, ValueError, TypeError) as error:
        raise OrchestratorError(f"{server} does not tell its version: {error}. {REMEDY}") from error
    own = Version(version("prefect"))
    if found.major != own.major or found.release[:2] < own.release[:2]:
        raise OrchestratorError(
            f"{server} has version {found}, but this code needs {own.major}.{own.minor} or a later {own.major}. "
            f"Upgrade the server: back up its database, then run 'pip install prefect=={own}' there and start it again"
        )
    return str(found)


def _set_up(client: SyncPrefectClient, settings: Settings) -> Iterator[tuple[str, str]]:
    pool = ensure_pool(client)
    yield "work pool", f"{POOL} ({pool.type})"
    image = settings.image if pool.type in CONTAINERS else None
    if pool.type in CONTAINERS and not image:
        raise OrchestratorError(
            f"The runs of the work pool {POOL} are containers ({pool.type}), but no image is set. Build one from the "
            "Dockerfile, push it to where the workers can pull it, and set EXEMPLARS_IMAGE to its name"
        )
    ensure_queues(client)
    yield "queues", ", ".join(queue.name for queue in QUEUES)
    # A server on PostgreSQL takes in a new alert some time after it was made; an event of before passes it by.
    alerts = ensure_alerts(client, settings.alert_url)
    deployments, offered = deploy_all(client, image, settings.models_uri)
    yield "deployments", ", ".join(deployments)
    yield "forms offer", offered
    yield "schedules", _format_schedules(deployments)
    automations = read_automations(pool.type in CONTAINERS)
    for wanted in automations:
        ensure_automation(client, wanted)
    yield "automations", f"{len(automations)} that end runs whose process is gone"
    yield "alerts", alerts
    if any(item.active for item in deployments[NIGHTLY].schedules):
        alert_missed_nightly(client)
    ended, unknown = end_gone_runs(client)
    if ended:
        yield "ended", f"{count_noun(ended, 'run')} whose process is gone"
    for run in unknown:
        watch_run(client, run)
    if unknown:
        yield "watched", f"{count_noun(len(unknown), 'unfinished run')} that may be gone"


def _format_schedules(deployments: Deployments) -> str:
    # Runs that wait for a batch switch that of its collector on.
    its = {name: found.schedules for name, found in deployments.items() if name != COLLECTOR and found.schedules}
    active = {name: [item.active for item in schedules] for name, schedules in its.items()}
    on = [name for name, those in active.items() if any(those)]
    off = [name for name in active if name not in on]
    said = [f"{', '.join(on)} on"] if on else []
    return "; ".join([*said, f"{', '.join(off)} off (switch them on in the UI)"] if off else said)


if __name__ == "__main__":
    sys.exit(main())
