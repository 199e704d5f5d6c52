"""The edge of the HTTP door: a small application behind it, asked by messages of ASGI or in a process of its own."""

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
from typing import IO, Any
from urllib.parse import unquote

import anyio
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message

from flows.api.docs_page import add_docs
from flows.api.errors import ApiError
from flows.api.exception_handlers import EXCEPTION_HANDLERS
from flows.api.middleware.body_limit import BODY_SECONDS, BodyLimit
from flows.api.middleware.envelope import Envelope
from flows.api.middleware.host_check import HostCheck
from flows.api.server import serve

ROOT = Path(__file__).parents[2]
HOSTS = ("127.0.0.1", "localhost", "[::1]", "testserver")
HOST = (b"host", b"localhost")
BODY_SECONDS_SHORT = 1.0
STOP_SECONDS = 2
KEY = "Bearer exk_a-secret-of-the-tests"


def make_app(body_seconds: float = BODY_SECONDS) -> FastAPI:
    app = FastAPI(
        title="Edge",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[
            Middleware(Envelope),
            Middleware(BodyLimit, timeout_seconds=body_seconds),
            Middleware(HostCheck, allowed_hosts=HOSTS),
        ],
    )
    add_docs(app)
    for method, path, endpoint in ROUTES:
        app.add_api_route(path, endpoint, methods=[method], response_model=None)
    return app


def read_health() -> dict[str, str]:
    return {"status": "ok"}


def read_traits(handle: str, limit: int = 1) -> dict[str, Any]:
    return {"handle": handle, "limit": limit}


def take_body(body: dict[str, int]) -> dict[str, int]:
    return body


async def raise_error(what: str, request: Request) -> None:
    raise make_error(what, request)


async def answer_slowly(seconds: float) -> dict[str, str]:
    print("asked", flush=True)
    await anyio.sleep(seconds)
    return {"status": "done"}


def sit_in_a_thread(seconds: float) -> dict[str, str]:
    print("asked", flush=True)
    time.sleep(seconds)
    return {"status": "done"}


ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/v1/health", read_health),
    ("GET", "/v1/models/{handle}/traits", read_traits),
    ("POST", "/v1/body", take_body),
    ("GET", "/v1/raise/{what}", raise_error),
    ("GET", "/v1/slow", answer_slowly),
    ("GET", "/v1/stuck", sit_in_a_thread),
)


def make_error(what: str, request: Request) -> Exception:
    errors = {
        "api": ApiError(409, "model_busy", "Busy.", {"run_id": "r1"}, {"X-Run-Id": "r1"}),
        "group": ExceptionGroup("one", [ApiError(404, "model_not_found", "No such model.")]),
        "two": ExceptionGroup("two", [ApiError(404, "model_not_found", "No such model."), ValueError("other")]),
        "surrogate": ApiError(422, "invalid_request", "half a pair: \ud800"),
        "leak": ValueError(f"the password is hunter2, the key {request.headers.get('authorization')}"),
        "gone": ClientDisconnect(),
        "503": HTTPException(503),
        "418": HTTPException(418),
        "507": HTTPException(507),
    }
    return errors[what]


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


def main() -> None:
    """Serves the application with a deadline that a test can wait for."""
    app = make_app(BODY_SECONDS_SHORT)
    serve(app, "127.0.0.1", 0, lambda address: print(address, flush=True), STOP_SECONDS)


if __name__ == "__main__":
    main()
