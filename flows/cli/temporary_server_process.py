"""The process of a temporary Prefect server: on a free loopback port, without the UI, until standard input closes."""

import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

STOP_SECONDS = 2.0
# The next server uses the same database and must know the leases of one that is gone. Automations, which nobody defines
# on a server of one run, are not looked for at each event.
VARIABLES = {
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}


def main() -> None:
    """Serves until standard input closes; prints the address when it is up."""
    # As Prefect sets them for its own temporary server: no UI, and only the services that a single run needs.
    os.environ |= {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    for name, text in VARIABLES.items():
        os.environ.setdefault(name, text)
    stopping = threading.Event()
    threading.Thread(target=stop_with_parent, args=(stopping,), daemon=True).start()
    # Imports make hardly any garbage, and a look for it takes a sixth of their time.
    gc.disable()
    from prefect.settings import PREFECT_API_URL

    if "--unless-configured" in sys.argv and PREFECT_API_URL.value():
        return
    from flows.cli.server_database import keep_template, lay_template

    is_new = lay_template()
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets this only on sockets that it makes itself; without it every request took 44 ms instead of 1 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    begin = keep_template if is_new else lambda: None
    threading.Thread(target=announce, args=(server, address, begin), daemon=True).start()
    threading.Thread(target=end_server, args=(server, stopping), daemon=True).start()
    server.run(sockets=[listener])


def announce(server: object, address: str, begin: Callable[[], None]) -> None:
    """Prints the address once requests are answered, after ``begin``; from then on Python looks for garbage."""
    while not getattr(server, "started", False):
        time.sleep(0.02)
    gc.freeze()
    gc.enable()
    begin()
    print(address, flush=True)


def end_server(server: object, stopping: threading.Event) -> None:
    """Tells the server to end when the process is to."""
    stopping.wait()
    setattr(server, "should_exit", True)  # noqa: B010 (typed as an object to keep uvicorn's import inside main)


def stop_with_parent(stopping: threading.Event) -> None:
    """Waits until standard input closes, and gives the process ``STOP_SECONDS`` to end before it ends it."""
    sys.stdin.read()
    stopping.set()
    time.sleep(STOP_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    main()
