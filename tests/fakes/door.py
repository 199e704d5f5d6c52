"""A door: the real program on a free port, with keys of its own, against a site's Prefect server.

What the routes answer is asked of the application in this process (``fakes.surface``); this is for kills and benches.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from fakes.workspace import ROOT, Workspace

from flows.api.keys.keyring import issue_key

PUBLIC = "u22a8"


@dataclass
class Door:
    """``url`` ends with ``/v1``; ``secret`` is that of a key that owns ``u22a8`` and may author."""

    workspace: Workspace
    variables: dict[str, str]
    secret: str = ""
    url: str = ""
    process: "subprocess.Popen[str] | None" = None
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def keys_file(self) -> Path:
        return self.workspace.folder / "keys.json"

    def issue(self, *namespaces: str, scope: str = "authoring") -> str:
        return issue_key(self.keys_file, namespaces or (PUBLIC,), scope, datetime.now(UTC))[1]

    def start(self, port: int = 0) -> None:
        variables = {
            **self.variables,
            "EXEMPLARS_API_PORT": str(port),
            "EXEMPLARS_KEYS_FILE": str(self.keys_file),
            "PYTHONUNBUFFERED": "1",
        }
        log = (self.workspace.folder / "door.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.api", "serve"],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "open at http" in line, line
        self.url = line.split("open at ")[1].split(",")[0].strip()

    def open_client(self, secret: str | None = None) -> httpx.Client:
        """A client that sends this key, the door's own where none is given, none where it is empty."""
        chosen = self.secret if secret is None else secret
        headers = {"Authorization": f"Bearer {chosen}"} if chosen else {}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=60)
        self.clients.append(client)
        return client

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        return self.process.wait(30)

    def read_log(self) -> str:
        return (self.workspace.folder / "door.log").read_text()


@contextmanager
def open_door(workspace: Workspace, variables: dict[str, str]) -> Iterator[Door]:
    door = Door(workspace, variables)
    door.secret = door.issue()
    try:
        door.start()
        yield door
    finally:
        for client in door.clients:
            client.close()
        if door.process is not None:
            door.stop(signal.SIGKILL)
            assert door.process.stdout is not None
            door.process.stdout.close()
