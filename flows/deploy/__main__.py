"""The command ``make deploy``: sets up work pool, queues, deployments, automations and alerts on a Prefect server."""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import httpx
from packaging.version import InvalidVersion, Version
from prefect.client.base import ServerType
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL

from engine.errors import ExemplarsError, OrchestratorError
from engine.settings import Settings, read_settings
from engine.text.formatting import count_noun
from flows.deploy.alerts import ensure_alerts
from flows.deploy.automations import Watch, describe_automation, ensure_automation, list_watches
from flows.deploy.deployments import Deployments, deploy_all
from flows.deploy.unfinished_runs import end_if_gone, list_unfinished, watch_run
from flows.deploy.work_pool import CONTAINERS, POOL, ensure_pool, ensure_queues
from flows.exit_codes import print_any_character

AUTH_REMEDY = (
    "Set PREFECT_API_AUTH_STRING (user:password) where the server asks for it, or PREFECT_API_KEY for Prefect Cloud"
)


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is on the server now: a line for each kind of thing, with what was made, changed or there before."""

    server: str
    lines: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n".join([self.server, *(f"  {kind}: {said}" for kind, said in self.lines)])


def deploy(settings: Settings) -> Deployed:
    """Sets up the configured Prefect server; a second call changes nothing.

    Unfinished runs are ended if their process was on this host and is gone. The others, whose processes may be alive,
    are put under the watch of the automations again: a server that was down for long has stopped watching them, and
    would show a run whose process is gone as running for ever.

    Raises:
        OrchestratorError: no server is configured, or it does not answer, refuses access, or has another version.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise OrchestratorError("no Prefect server is configured. Set PREFECT_API_URL, or run make serve")
    try:
        with get_client(sync_client=True) as client:
            version = check_server(client)
            return Deployed(f"Prefect {version} at {url}", tuple(_set_up(client, settings)))
    except (httpx.HTTPError, PrefectException) as error:
        raise OrchestratorError(f"The Prefect server at {url} does not answer as it should: {error}") from error


def main() -> int:
    """Deploys, prints what it did, and returns the exit code."""
    print_any_character()
    try:
        print(deploy(read_settings()))
    except ExemplarsError as error:
        print(f"exemplars: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def check_server(client: SyncPrefectClient) -> str:
    """The version of the server; Prefect Cloud's is ``Cloud``.

    Raises:
        OrchestratorError: it does not answer, refuses access, is not Prefect's, or is older than the installed Prefect.
    """
    if client.server_type == ServerType.CLOUD:
        return "Cloud"
    try:
        said = client.api_version()
        found = Version(said)
    except httpx.HTTPStatusError as error:
        raise _explain_status(client, error) from error
    except httpx.HTTPError as error:
        raise OrchestratorError(
            f"The Prefect server at {_get_url(client)} does not answer: {type(error).__name__} {error}. Check that it "
            "runs and that PREFECT_API_URL is its address"
        ) from error
    except (ValueError, TypeError, InvalidVersion) as error:
        raise OrchestratorError(f"{_describe_non_prefect(client)}: its version cannot be read") from error
    own = Version(version("prefect"))
    if found.major != own.major or found.release[:2] < own.release[:2]:
        raise OrchestratorError(
            f"The Prefect server at {_get_url(client)} has version {found}, but this code needs "
            f"{own.major}.{own.minor} or a later {own.major}. Upgrade the server: back up its database, then "
            f"run 'pip install prefect=={own}' there and start it again"
        )
    return str(found)


def _set_up(client: SyncPrefectClient, settings: Settings) -> list[tuple[str, str]]:
    pool, how = ensure_pool(client)
    watches = list_watches(pool.type in CONTAINERS)
    queues = ensure_queues(client)
    deployments, outcomes = deploy_all(client, _find_image(pool, settings))
    automations = {watch.name: ensure_automation(client, describe_automation(watch)) for watch in watches}
    alerts = ensure_alerts(client, settings.alert_url)
    lines = [
        ("work pool", f"{POOL} ({pool.type}) {how}"),
        ("queues", _format_outcomes(queues)),
        ("deployments", _format_outcomes(outcomes)),
        ("schedules", _format_schedules(deployments)),
        ("automations", _count_outcomes(automations)),
        ("alerts of failed nightly runs", alerts),
    ]
    ended, watched = _settle_unfinished(client, watches)
    if ended:
        lines.append(("ended", f"{count_noun(ended, 'run')} whose process is gone"))
    if watched:
        lines.append(("watched", count_noun(watched, "unfinished run")))
    return lines


def _find_image(pool: WorkPool, settings: Settings) -> str | None:
    """The image of the runs' containers; None if the runs are processes.

    Raises:
        OrchestratorError: the pool's runs are containers, but no image is set.
    """
    if pool.type not in CONTAINERS:
        return None
    if not settings.image:
        raise OrchestratorError(
            f"The runs of the work pool {POOL} are containers ({pool.type}), but no image is set. Build one from the "
            "Dockerfile, push it to where the workers can pull it, and set EXEMPLARS_IMAGE to its name"
        )
    return settings.image


def _format_outcomes(outcomes: Mapping[str, str]) -> str:
    names = defaultdict(list)
    for name, how in outcomes.items():
        names[how].append(name)
    return "; ".join(f"{', '.join(those)} {how}" for how, those in sorted(names.items(), reverse=True))


def _count_outcomes(outcomes: Mapping[str, str]) -> str:
    hows = list(outcomes.values())
    return ", ".join(f"{hows.count(how)} {how}" for how in sorted(set(hows)))


def _format_schedules(deployments: Deployments) -> str:
    active = {name: [item.active for item in found.schedules] for name, found in deployments.items() if found.schedules}
    on = [name for name, those in active.items() if any(those)]
    off = [name for name in active if name not in on]
    said = [f"{', '.join(on)} on"] if on else []
    return "; ".join([*said, f"{', '.join(off)} off (switch them on in the UI)"] if off else said)


def _settle_unfinished(client: SyncPrefectClient, watches: Sequence[Watch]) -> tuple[int, int]:
    """Ends or watches each unfinished run; returns how many were ended and how many are watched."""
    by_state = {watch.state: watch for watch in watches}
    ended = watched = 0
    for run in list_unfinished(client):
        if end_if_gone(client, run):
            ended += 1
        elif run.state is not None:
            watch_run(client, run, by_state[run.state.type])
            watched += 1
    return ended, watched


def _explain_status(client: SyncPrefectClient, error: httpx.HTTPStatusError) -> OrchestratorError:
    code = error.response.status_code
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return OrchestratorError(f"The Prefect server at {_get_url(client)} refuses access ({code}). {AUTH_REMEDY}")
    if code == httpx.codes.NOT_FOUND:
        return OrchestratorError(f"{_describe_non_prefect(client)}: it answers {code}")
    return OrchestratorError(f"The Prefect server at {_get_url(client)} answers {code}. Its own logs may say why")


def _describe_non_prefect(client: SyncPrefectClient) -> str:
    return f"There is no Prefect API at {_get_url(client)} (PREFECT_API_URL, which ends in /api)"


def _get_url(client: SyncPrefectClient) -> str:
    return str(client.api_url).rstrip("/")


if __name__ == "__main__":
    sys.exit(main())
