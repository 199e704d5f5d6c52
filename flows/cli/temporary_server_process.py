"""The process of a temporary Prefect server: on a free loopback port, without the UI, until standard input closes."""

import os
import socket
import sys
import threading
import time

STOP_SECONDS = 2.0
LEASE_STORAGE = "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"


def main() -> None:
    """Serves until standard input closes; prints the address when it is up."""
    # As Prefect sets them for its own temporary server: no UI, and only the services that a single run needs.
    os.environ |= {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    # The next server uses the same database and must know the leases of one that is gone.
    os.environ.setdefault(LEASE_STORAGE, "prefect.server.concurrency.lease_storage.filesystem")
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets this only on sockets that it makes itself; without it every request took 44 ms instead of 1 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    threading.Thread(target=announce, args=(server, address), daemon=True).start()
    threading.Thread(target=stop_with_parent, args=(server,), daemon=True).start()
    server.run(sockets=[listener])


def announce(server: object, address: str) -> None:
    """Prints the address once requests are answered."""
    while not getattr(server, "started", False):
        time.sleep(0.05)
    print(address, flush=True)


def stop_with_parent(server: object) -> None:
    """Waits until standard input closes, and gives the server ``STOP_SECONDS`` to stop before ending the process."""
    sys.stdin.read()
    setattr(server, "should_exit", True)  # noqa: B010 (typed as an object to keep uvicorn's import inside main)
    time.sleep(STOP_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    main()
