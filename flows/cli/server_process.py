"""The process of a temporary Prefect server: on a free loopback port, without the UI, until standard input closes."""

import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

STOP_SECONDS = 2.0


def main() -> None:
    """Serve until standard input closes; print the address when the server is up."""
    # The values of Prefect's own temporary server: no UI, and only the services that a single run needs.
    os.environ |= {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    # The command shows this output only if the server does not start.
    os.environ |= dict.fromkeys(("PREFECT_SERVER_LOGGING_LEVEL", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"), "ERROR")
    # The next server uses the same database and must know the leases of earlier servers. Triggers are off: nobody
    # defines automations on a server of one run.
    storage = "prefect.server.concurrency.lease_storage.filesystem"
    os.environ.setdefault("PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE", storage)
    os.environ.setdefault("PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED", "false")
    serving: list[Any] = []
    threading.Thread(target=stop_with_parent, args=(serving,), daemon=True).start()
    # Imports make hardly any garbage, and scanning for it takes a sixth of their time.
    gc.disable()
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        return
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Print the address once the server answers requests; then turn garbage collection on."""
            await super().startup(sockets)
            gc.freeze()
            gc.enable()
            print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)

    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets this only on sockets that it creates itself; without it every request took 44 ms instead of 1 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    serving.append(Server(config))
    serving[0].run(sockets=[listener])


def stop_with_parent(serving: Sequence[Any]) -> None:
    """Wait until standard input closes, let the server stop, and end the process after ``STOP_SECONDS``."""
    sys.stdin.read()
    for server in serving:
        server.should_exit = True
    time.sleep(STOP_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    main()
