"""The process of a temporary Prefect server: on a free loopback port, without the UI, until standard input closes.

In a fresh ``PREFECT_HOME`` its database is copied from one that is migrated already, since Prefect's migrations take
longer than all else of its start. The first server that has to migrate keeps its database as the template, once for
each version of Prefect. A database that is there is never touched.
"""

import gc
import os
import shutil
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

DATABASE = "prefect.db"
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
    serving: list[Any] = []
    threading.Thread(target=stop_with_parent, args=(serving,), daemon=True).start()
    # Imports make hardly any garbage, and a look for it takes a sixth of their time.
    gc.disable()
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        return
    is_new = lay_template()
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Prints the address once requests are answered; from then on Python looks for garbage."""
            await super().startup(sockets)
            gc.freeze()
            gc.enable()
            if is_new:
                keep_template()
            print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)

    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets this only on sockets that it makes itself; without it every request took 44 ms instead of 1 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    serving.append(Server(config))
    serving[0].run(sockets=[listener])


def stop_with_parent(serving: Sequence[Any]) -> None:
    """Waits until standard input closes, and gives the process ``STOP_SECONDS`` to end before it ends it."""
    sys.stdin.read()
    for server in serving:
        server.should_exit = True
    time.sleep(STOP_SECONDS)
    os._exit(0)


def lay_template() -> bool:
    """Copies the template to where Prefect's settings have the database, if nothing is there.

    Returns:
        Whether a new database will be made there, since there is no template.
    """
    database = _find_database()
    if database is None or any(database.parent.glob(f"{database.name}*")):
        return False
    part = database.with_name(f".{database.name}.{os.getpid()}")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(find_template(), part)
        # Not a move: another server may have begun its own database meanwhile.
        database.hardlink_to(part)
    except OSError:
        return not database.exists()
    finally:
        part.unlink(missing_ok=True)
    return False


def keep_template() -> None:
    """Keeps a copy of the database, which has just been made and which nobody has used, as the template."""
    database, template = _find_database(), find_template()
    if database is None or template.exists():
        return
    part = template.with_name(f".{template.name}.{os.getpid()}")
    with suppress(OSError, sqlite3.Error):
        try:
            template.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(part)) as copy:
                source.backup(copy)
                # What belongs to one server, such as the key that its secrets are encrypted with.
                copy.execute("DELETE FROM configuration")
                copy.commit()
            part.replace(template)
        finally:
            part.unlink(missing_ok=True)


def find_template() -> Path:
    """Where the template of the installed version of Prefect lies."""
    return user_cache_path("exemplars") / f"prefect-{version('prefect')}.db"


def _find_database() -> Path | None:
    """The database file, where it is Prefect's own in its home; another one is its owner's."""
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_HOME

    database: Path = PREFECT_HOME.value() / DATABASE
    url = str(PREFECT_API_DATABASE_CONNECTION_URL.value())
    return database if url == f"sqlite+aiosqlite:///{database}" else None


if __name__ == "__main__":
    main()
