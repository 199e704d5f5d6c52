"""An S3 server on loopback in a process of its own, and a way to it that can be told to break at any request."""

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest
from fakes.shared import Told, share
from fakes.site import answers, find_free_port
from fakes.waiting import wait_until
from fakes.workspace import MARK
from pyarrow import fs

from engine.store.writers import WRITERS
from engine.system.filesystem import open_folder

BUCKET = "shed"
REFUSAL = b"<Error><Code>AccessDenied</Code><Message>The disk behind this store is gone.</Message></Error>"
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "server", "date", "expect"}


class S3:
    """What stands between pyarrow's client and the server: it counts what changes something, and lets so much through.

    With ``changes_left`` at 0 nothing gets through, it is refused; None lets all.
    """

    def __init__(self, port: int) -> None:
        self.changes = 0
        self.changes_left: int | None = None
        self._upstream = port
        self._announced: set[str] = set()
        self._lock = threading.Lock()
        owner = self

        class Handler(_Handler):
            s3 = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def variables(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        for name, value in self.variables.items():
            patch.setenv(name, value)

    def break_after(self, changes: int) -> None:
        """So many more requests that change something are let through, and then none at all."""
        self.changes_left = changes

    def heal(self) -> None:
        """Everything is let through again, and so much later that nobody waits for a writer that died."""
        self.changes_left = None
        self.changes = 0
        self.forget_writers()

    def forget_writers(self) -> None:
        """Takes away what keeps writers out, as the next one does where a writer counts as dead."""
        while self._announced:
            self._ask("DELETE", self._announced.pop(), headers={"Authorization": "AWS test:test"})

    def let_through(self, method: str) -> bool:
        with self._lock:
            if self.changes_left == 0:
                return False
            if method in ("PUT", "POST", "DELETE"):
                self.changes += 1
                if self.changes_left is not None:
                    self.changes_left -= 1
            return True

    def forward(self, request: BaseHTTPRequestHandler) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        body = _read_body(request)
        headers = {name: text for name, text in request.headers.items() if name.lower() not in HOP_BY_HOP}
        if request.command == "PUT" and f"/{WRITERS}/" in request.path:
            self._announced.add(request.path)
        return self._ask(request.command, request.path, body, headers)

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, Sequence[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self._upstream, timeout=60)
        try:
            upstream.request(method, path, body, dict(headers))
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body go out together and at once: else each answer waits for the other side's delayed word.
    wbufsize = -1
    disable_nagle_algorithm = True
    s3: S3

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def handle_expect_100(self) -> bool:
        expected = super().handle_expect_100()
        self.wfile.flush()
        return expected

    def _answer(self) -> None:
        if not self.s3.let_through(self.command):
            self.close_connection = True
            _read_body(self)
            self._send(403, [("Content-Type", "application/xml")], REFUSAL)
            return
        self._send(*self.s3.forward(self))

    def _send(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        size = {name.lower(): value for name, value in headers}.get("content-length")
        self.send_header("Content-Length", size if self.command == "HEAD" and size else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _read_body(request: BaseHTTPRequestHandler) -> bytes:
    """The body of a request, be it in chunks (RFC 9112, section 7.1)."""
    if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    parts = []
    while size := int(request.rfile.readline().partition(b";")[0], 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    while request.rfile.readline().strip():
        continue
    return b"".join(parts)


@contextmanager
def serve_s3() -> Iterator[S3]:
    """A way to the session's server, of this process alone, for as long as the block lasts."""
    s3 = S3(share("s3", _start_server)["port"])
    try:
        yield s3
    finally:
        s3.close()


def list_keys(uri: str) -> list[str]:
    filesystem, path = open_folder(uri)
    infos = filesystem.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
    return sorted(info.path.removeprefix(f"{path}/") for info in infos if info.type == fs.FileType.File)


def _start_server(folder: Path) -> Told:
    port = find_free_port()
    program = "import sys; from moto.server import main; main(sys.argv[1:])"
    given = {name: text for name, text in os.environ.items() if not name.startswith("WERKZEUG_")}
    subprocess.Popen(
        [sys.executable, "-c", program, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**given, MARK: str(folder)},
        start_new_session=True,
    )
    wait_until(lambda: answers(f"http://127.0.0.1:{port}"), what="the object store answers")
    httpx.put(f"http://127.0.0.1:{port}/{BUCKET}").raise_for_status()
    return {"port": port}
