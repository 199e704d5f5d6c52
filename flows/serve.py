"""Command ``make serve``: run Prefect's server, a worker and the HTTP API on this machine until Ctrl-C.

It has two processes: the one that a person starts guards a second one, which runs the services until its standard
input closes.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_SERVER_API_HOST,
    PREFECT_SERVER_API_PORT,
    temporary_settings,
)

from engine.errors import OrchestratorError, RunInterruptedError
from engine.settings import PROJECT_ROOT, ROOT_VARIABLE, Settings, find_root, read_settings
from engine.system.child_process import leaving_no_process, run_guarded
from flows.api.server import open_listener, write_address
from flows.deploy.unfinished_runs import end_gone_runs
from flows.deploy.work_pool import POOL
from flows.exit_codes import guard_output, report_error
from flows.observability.json_logs import PREFECT_JSON_VARIABLES

NEXT = "python -m flows.api keys issue --namespace YOUR_NAMESPACE --scope authoring"
GUARDED = "--guarded"
LOOK_SECONDS, ASK_SECONDS, START_SECONDS = 0.1, 2.0, 180.0
# Per service. With three services a Ctrl-C takes ten seconds at most.
STOP_SECONDS = 3.0
# For each request at a stop. A server with SQLite answers a change only after all other writers: with two seconds and a
# writer of five, a run stayed RUNNING.
LAST_ASK_SECONDS = 15.0
LOG_TAIL_LINES = 12
# Each run is a process with 7 CPU-seconds of imports and 400 MB; more of them would stay pending for minutes.
MAX_RUNS = 8
# With leases in memory only, a killed server would never release them.
LEASES = "prefect.server.concurrency.lease_storage.filesystem"


@dataclass(slots=True, eq=False)
class Service:
    """Program that runs until everything is stopped or, without ``is_ready``, a step that has to end.

    ``after_stop`` is called when it has been stopped.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool] | None = None
    after_stop: Callable[[], None] = lambda: None
    process: "subprocess.Popen[bytes]" = field(init=False)
    log: Path = field(init=False)
    since: float = field(init=False)

    @contextmanager
    def running(self, logs: Path) -> Iterator[None]:
        """Run the program while the block runs, with its output in a separate log; then stop its process group."""
        self.log, self.since = logs / f"{self.name}.log", time.monotonic()
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=PROJECT_ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
        finally:
            _signal_group(self.process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
            _signal_group(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.after_stop()

    def is_up(self) -> bool:
        """Return whether the next service may be started."""
        return self.process.poll() == 0 if self.is_ready is None else self.is_ready()

    def check(self, start_seconds: float | None = None) -> None:
        """Raise an ``OrchestratorError`` if it has ended, or was started more than ``start_seconds`` ago."""
        code = self.process.poll()
        if code is not None and (code or self.is_ready):
            problem = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        elif start_seconds is not None and time.monotonic() - self.since > start_seconds:
            problem = f"was not ready after {start_seconds:g} s"
        else:
            return
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        tail = "".join(f"\n  {line}" for line in lines[-LOG_TAIL_LINES:]) or " (nothing)"
        raise OrchestratorError(f"{self.name} {problem}. The end of {shorten(self.log)}:{tail}\nEverything is stopped.")


def main() -> int:
    """Serve until a signal arrives, and return 0; after an error, return its exit code."""
    guard_output()
    if GUARDED not in sys.argv:
        code = run_guarded([sys.executable, "-m", "flows.serve", GUARDED])
        if code < 0:
            print(f"exemplars: killed by {signal.Signals(-code).name}. Everything is stopped", file=sys.stderr)
        return code if code >= 0 else OrchestratorError.exit_code
    try:
        serve(read_settings())
    except Exception as error:
        return report_error(error)
    print("exemplars: everything is stopped", file=sys.stderr)
    return 0


def serve(settings: Settings) -> None:
    """Run all services. If ``PREFECT_API_URL`` is set, that Prefect server is used and none is started.

    Raises:
        ExemplarsError: a port is in use, or a service did not start or has ended.
    """
    host, port = PREFECT_SERVER_API_HOST.value(), PREFECT_SERVER_API_PORT.value()
    configured = PREFECT_API_URL.value()
    if not configured:
        open_listener(host, port, "PREFECT_SERVER_API_PORT").close()
    open_listener(settings.api_host, settings.api_port, "EXEMPLARS_API_PORT").close()
    if settings.metrics_port:
        open_listener(settings.api_host, settings.metrics_port, "EXEMPLARS_METRICS_PORT").close()
    logs = Path(settings.cache_dir).parent / "logs"
    print(f"exemplars: starting; the first start takes half a minute. Logs: {shorten(logs)}", file=sys.stderr)
    api = configured or f"{name_address(host, port)}/api"
    server, *others = list_services(settings, api, dict(os.environ))
    address = name_address(settings.api_host, settings.api_port)
    ready = f"Prefect {api.removesuffix('/api')} · API {address}/v1 · logs {shorten(logs)} · next, a key: "
    run_services(others if configured else [server, *others], logs, f"{ready}{NEXT}")


def list_services(settings: Settings, api: str, environment: Mapping[str, str]) -> list[list[Service]]:
    """Return the stages: Prefect's server, which answers at ``api``; the deploy step; a worker and the HTTP API."""
    address = name_address(settings.api_host, settings.api_port)
    logs = PREFECT_JSON_VARIABLES if settings.log_format == "json" else {}
    quiet = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    variables = {**quiet, **logs, **environment, "PREFECT_API_URL": api, ROOT_VARIABLE: str(find_root())}
    host, port = PREFECT_SERVER_API_HOST.value(), PREFECT_SERVER_API_PORT.value()
    server = Service(
        "prefect",
        ("-m", "prefect", "server", "start", "--host", host, "--port", str(port)),
        {
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_UI_API_URL": api,
            **variables,
        },
        lambda: answers(f"{api}/health"),
    )
    name = f"make serve on {socket.gethostname()}"
    worker = Service(
        "worker",
        ("-m", "prefect", "worker", "start", "--pool", POOL, "--name", name, "--limit", str(MAX_RUNS)),
        # The worker asks for runs every second, so that a run starts within five seconds.
        {"PREFECT_WORKER_QUERY_SECONDS": "1", "EXEMPLARS_API_URL": address, **variables},
        # The server learns of the worker some seconds later, so it cannot be asked.
        lambda: True,
        lambda: end_stopped_runs(api),
    )
    http_api = Service("api", ("-m", "flows.api", "serve"), variables, lambda: answers(f"{address}/v1/health"))
    return [[server], [Service("deploy", ("-m", "flows.deploy"), variables)], [worker, http_api]]


def run_services(
    stages: Sequence[Sequence[Service]], logs: Path, ready: str, start_seconds: float = START_SECONDS
) -> None:
    """Start the services, each stage when the previous one is ready, print ``ready``, and run until stdin closes.

    Then all are stopped, the last one first; also after an error, or if one is not ready within ``start_seconds``.

    Raises:
        OrchestratorError: a service did not start, or has ended.
        RunInterruptedError: standard input closed before everything was up.
    """
    logs.mkdir(parents=True, exist_ok=True)
    running: list[Service] = []
    with leaving_no_process(), ExitStack() as stack:
        for starting in stages:
            for service in starting:
                stack.enter_context(service.running(logs))
                running.append(service)
            while not all(service.is_up() for service in starting):
                for service in running:
                    service.check(start_seconds if service in starting else None)
                if _stdin_closes():
                    raise RunInterruptedError("interrupted before everything was up. Everything is stopped")
        print(ready, flush=True)
        while not _stdin_closes():
            for service in running:
                service.check()


def answers(url: str) -> bool:
    """Return whether a GET of the address is answered with 200."""
    try:
        return httpx.get(url, timeout=ASK_SECONDS).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def end_stopped_runs(api: str) -> None:
    """End the runs on the server that ended with the worker; if that fails, the next deploy step does it."""
    # No retries: the server may be stopping, and a stop must not wait for it.
    once = temporary_settings({PREFECT_API_URL: api, PREFECT_CLIENT_MAX_RETRIES: 0})
    with (
        suppress(httpx.HTTPError, PrefectException),
        once,
        get_client({"timeout": LAST_ASK_SECONDS}, sync_client=True) as client,
    ):
        end_gone_runs(client)


def name_address(host: str, port: int) -> str:
    """Return the address of a server for clients; a host for all interfaces becomes the loopback address."""
    return write_address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104


def shorten(path: Path) -> str:
    """Return the path relative to the current folder if it is below it."""
    return str(path).removeprefix(f"{Path.cwd()}{os.sep}")


def _stdin_closes() -> bool:
    return bool(select.select([sys.stdin], [], [], LOOK_SECONDS)[0])


def _signal_group(group: int, number: signal.Signals) -> None:
    # macOS does not permit the signal if the group has only an ended process.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main())
