"""The edge of the HTTP door: an application asked by messages of ASGI, or a small one in a process of its own."""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import anyio
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message

from flows.api.middleware.body_limit import BodyLimit
from flows.api.middleware.envelope import Envelope
from flows.api.server import serve

ROOT = Path(__file__).parents[2]
HOST = (b"host", b"localhost")
STOP_SECONDS = 2
app = FastAPI(middleware=[Middleware(Envelope), Middleware(BodyLimit)])


@app.post("/v1/body")
def take_body(body: dict[str, int]) -> dict[str, int]:
    return body


@app.get("/v1/slow")
async def answer_slowly(seconds: float) -> dict[str, str]:
    print("asked", flush=True)
    await anyio.sleep(seconds)
    return {"status": "done"}


@app.get("/v1/stuck")
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
            await asyncio.Event().wait()
        return coming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    async def ask() -> None:
        await app(scope, receive, send)

    asyncio.run(ask())
    return sent


def read_told(sent: Sequence[Message]) -> tuple[int, str]:
    """Status and code of the refusal in what was sent."""
    return sent[0]["status"], json.loads(sent[1]["body"])["error"]["code"]


@dataclass(frozen=True)
class Edge:
    """The running process; ``address`` is what it announced, ``log`` what it writes to stderr."""

    process: "subprocess.Popen[str]"
    address: str
    log: IO[str]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def connect(self) -> HTTPConnection:
        connection = HTTPConnection("localhost", self.port, timeout=60)
        connection.connect()
        return connection

    def wait_until_asked(self) -> None:
        assert self.process.stdout is not None
        assert "asked\n" == self.process.stdout.readline()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Stops it: its exit code and all that it logged."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.log.seek(0)
        return code, self.log.read()


@contextmanager
def serve_edge() -> Iterator[Edge]:
    # A file, since nobody reads while it serves: a pipe would fill, and then the server waits.
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fakes.edge"],
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": ""},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield Edge(process, process.stdout.readline().strip(), log)
        finally:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    serve(app, "127.0.0.1", 0, lambda address: print(address, flush=True), STOP_SECONDS)
