"""The command ``make serve``: runs Prefect's server, a worker and the HTTP door on this machine until Ctrl-C."""

import sys
from collections.abc import Callable
from pathlib import Path

from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_API_HOST, PREFECT_SERVER_API_PORT

from engine.errors import ExemplarsError
from engine.settings import Settings, read_settings
from flows.exit_codes import print_any_character
from flows.serve.ports import check_port
from flows.serve.service import Service, shorten
from flows.serve.services import Site, make_deploy, make_door, make_server, make_worker
from flows.serve.supervisor import supervise

NEXT = ".venv/bin/python -m flows.api keys issue --namespace u22a8 --scope authoring"


def main(make_door: Callable[[Site], Service] = make_door) -> int:
    """Serves until a signal comes; returns 0 then, or the exit code of the error that ended it."""
    print_any_character()
    try:
        serve(read_settings(), make_door)
    except ExemplarsError as error:
        print(f"exemplars: {error}", file=sys.stderr)
        return error.exit_code
    print("exemplars: everything is stopped", file=sys.stderr)
    return 0


def serve(settings: Settings, make_door: Callable[[Site], Service] = make_door) -> None:
    """Runs all services. If ``PREFECT_API_URL`` is set, that Prefect server is used and none is started.

    Raises:
        ExemplarsError: a port is in use, or a service does not start or keeps dying.
    """
    host, port = PREFECT_SERVER_API_HOST.value(), PREFECT_SERVER_API_PORT.value()
    site = Site(host, port, PREFECT_API_URL.value(), settings.api_host, settings.api_port, settings.log_format)
    if site.api_url is None:
        check_port(site.prefect_host, site.prefect_port, "PREFECT_SERVER_API_PORT")
    check_port(site.door_host, site.door_port, "EXEMPLARS_API_PORT")
    if settings.metrics_port:
        check_port(site.door_host, settings.metrics_port, "EXEMPLARS_METRICS_PORT")
    server = [] if site.api_url else [[make_server(site)]]
    logs = find_logs(settings)
    print(f"exemplars: starting; the first start takes half a minute. Logs: {shorten(logs)}", file=sys.stderr)
    supervise([*server, [make_deploy(site)], [make_worker(site), make_door(site)]], logs, describe_ready(site, logs))


def find_logs(settings: Settings) -> Path:
    """The folder of the logs, beside the kept replies; it has one file for each service."""
    return Path(settings.locate(settings.cache_dir)).parent / "logs"


def describe_ready(site: Site, logs: Path) -> str:
    """The line that is printed when everything is up: both addresses, the folder of the logs, and what to type next."""
    ui = site.prefect_api.removesuffix("/api")
    return f"Prefect {ui} · door {site.door}/v1 · logs {shorten(logs)} · next, a key: {NEXT}"


if __name__ == "__main__":
    sys.exit(main())
