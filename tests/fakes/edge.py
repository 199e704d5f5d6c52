"""the edge of the HTTP API: an application asked by messages of ASGI, or a small one in a process of its own."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import anyio
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message

from flows.api.envelope import Envelope
from flows.api.guard import Guard
from flows.api.keys import Key
from flows.api.server import serve

ROOT = Path(__file__).parents[2]
HOST = (b"host", b"localhost")
STOP_SECONDS = 2
OURS = ("127.0.0.1", "localhost", "[::1]")
KEY = Key("0" * 12, "authoring", ("acme",), datetime.now(UTC), "0" * 64)
SECRET = (b"authorization", b"Bearer exm_a-secret-of-the-tests")


def guard(app: ASGIApp, allowed_hosts: Sequence[str] = OURS) -> Envelope:
    """An application behind all that is outside its routes; every secret is the key's."""
    return Envelope(Guard(app, lambda secret: KEY, allowed_hosts))


app = FastAPI(middleware=[Middleware(Envelope), Middleware(Guard, find_key=lambda secret: KEY, allowed_hosts=OURS)])


@app.post("/body")
def take_body(body: dict[str, int]) -> dict[str, int]:
    return body


@app.get("/slow")
async def answer_slowly(seconds: float) -> dict[str, str]:
    print("asked", flush=True)
    await anyio.sleep(seconds)
    return {"status": "done"}


@app.get("/stuck")
def sit_in_a_thread(seconds: float) -> dict[str, str]:
    print("asked", flush=True)
    time.sleep(seconds)
    return {"status": "done"}


def drive(
    app: ASGIApp,
    *messages: Message,
    method: str = "POST",
    target: str = "/",
    headers: Sequence[tuple[bytes, bytes]] = (HOST,),
) -> list[Message]:
    """What an application sends for a request of which these messages come in, and then nothing any more."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [*headers],
    }
    coming, sent = [*messages], list[Message]()

    async def receive() -> Message:
        if not coming:
            await anyio.sleep_forever()
        return coming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    anyio.run(app, scope, receive, send)
    return sent


def read_told(sent: Sequence[Message]) -> tuple[int, str]:
    return sent[0]["status"], json.loads(sent[1]["body"])["error"]["code"]


@dataclass(frozen=True)
class Edge:
    """The running process; ``log`` is what it writes to stderr."""

    process: "subprocess.Popen[str]"
    log: IO[str]
    port: int = 0

    def read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def connect(self) -> HTTPConnection:
        connection = HTTPConnection("localhost", self.port, timeout=60)
        connection.connect()
        return connection

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.log.seek(0)
        return code, self.log.read()


@contextmanager
def serve_edge() -> Iterator[Edge]:
    command = [sys.executable, "-m", "fakes.edge"]
    variables = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": ""}
    # A file, since nobody reads while it serves: a pipe would fill, and then the server waits.
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        begun = Edge(process, log)
        try:
            yield replace(begun, port=int(begun.read_line().rpartition(":")[2]))
        finally:
            process.kill()


if __name__ == "__main__":
    serve(app, "127.0.0.1", 0, lambda address: print(address, flush=True), STOP_SECONDS)
