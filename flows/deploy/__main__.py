"""Command ``make deploy``: set up work pool, queues, deployments, automations and alerts on a Prefect server."""

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

# A run of NIGHTLY emits the event of the daily summary at its end.
NIGHTLY, COLLECTOR = "catalogue/nightly", "batches/collect"
REMEDY = (
    "Check that it runs, that PREFECT_API_URL is its address, which ends in /api, and that PREFECT_API_AUTH_STRING "
    "(user:password), or PREFECT_API_KEY for Prefect Cloud, is what it asks for"
)


def main() -> int:
    """Deploy, print a summary, and return the exit code."""
    guard_output()
    try:
        print(deploy(read_settings()))
    except Exception as error:
        return report_error(error)
    return 0


def deploy(settings: Settings) -> str:
    """Set up the configured Prefect server; a second call changes nothing.

    Unfinished runs are ended if their process was on this host and is gone. If that is unknown, the automations watch
    the run again: a server that was down for long no longer does, and would show a dead run as running forever.

    Raises:
        OrchestratorError: no server is configured, or it does not answer, refuses access, or has another version.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise OrchestratorError("no Prefect server is configured. Set PREFECT_API_URL, or run make serve")
    try:
        with get_client(sync_client=True) as client:
            server_version = check_server(client)
            lines = [f"  {kind}: {outcome}" for kind, outcome in _set_up(client, settings)]
    except (httpx.HTTPError, PrefectException) as error:
        raise OrchestratorError(f"The Prefect server at {url} does not answer as it should: {error}") from error
    return "\n".join([f"Prefect {server_version} at {url}", *lines])


def check_server(client: SyncPrefectClient) -> str:
    """Return the version of the server; ``Cloud`` for Prefect Cloud.

    Prefect's check refuses only another major version; for an older server it only logs a warning.

    Raises:
        OrchestratorError: the server does not answer, refuses access, is not Prefect's, or is older than the
            installed Prefect.
    """
    if client.server_type == ServerType.CLOUD:
        return "Cloud"
    server = f"The Prefect server at {str(client.api_url).rstrip('/')}"
    try:
        deployed = Version(client.api_version())
    except (httpx.HTTPError, ValueError, TypeError) as error:
        raise OrchestratorError(f"{server} does not tell its version: {error}. {REMEDY}") from error
    installed = Version(version("prefect"))
    if deployed.major != installed.major or deployed.release[:2] < installed.release[:2]:
        needed = f"{installed.major}.{installed.minor} or a later {installed.major}"
        raise OrchestratorError(
            f"{server} has version {deployed}, but this code needs {needed}. Upgrade the server: back up its database, "
            f"then run 'pip install prefect=={installed}' there and start it again"
        )
    return str(deployed)


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
    # A server on PostgreSQL activates a new alert some time after its creation, and the alert misses earlier events.
    alerts = ensure_alerts(client, settings.alert_url)
    deployments, offered = deploy_all(client, image, settings.models_uri)
    yield "deployments", ", ".join(deployments)
    yield "forms offer", offered
    yield "schedules", _format_schedules(deployments)
    automations = read_automations(pool.type in CONTAINERS)
    for automation in automations:
        ensure_automation(client, automation)
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
    # The collector is left out: runs that wait for a batch switch its schedule on.
    scheduled = {name: item.schedules for name, item in deployments.items() if name != COLLECTOR and item.schedules}
    on = [name for name, schedules in scheduled.items() if any(schedule.active for schedule in schedules)]
    off = [name for name in scheduled if name not in on]
    phrases = [f"{', '.join(on)} on"] if on else []
    return "; ".join([*phrases, f"{', '.join(off)} off (switch them on in the UI)"] if off else phrases)


if __name__ == "__main__":
    sys.exit(main())
