"""An S3 server on loopback in a process of its own, and a way to it that can be told to break at any request."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fakes.ports import find_free_port
from fakes.provider import serve_answers
from fakes.shared import Told, share
from fakes.site import CLIENT, answers
from fakes.waiting import wait_until
from fakes.workspace import MARK
from fastapi import Request, Response
from pyarrow import fs

from engine.store.writers import WRITERS
from engine.system.filesystem import open_folder

BUCKET = "shed"
REFUSAL = b"<Error><Code>AccessDenied</Code><Message>The disk behind this store is gone.</Message></Error>"
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "server", "date", "expect"}


class S3:
    """What stands between pyarrow's client and the server: it counts what changes something, and lets so much through.

    With ``changes_left`` at 0 nothing gets through, it is refused; None lets all. A test sets it.
    """

    def __init__(self, port: int) -> None:
        self.url = ""
        self.changes = 0
        self.changes_left: int | None = None
        self._upstream = httpx.URL(f"http://127.0.0.1:{port}")
        self._announced: set[bytes] = set()
        # Made once, since that takes longer than a request; the server ends each connection.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx.AsyncClient(timeout=60, limits=limits, verify=False)
        self._lock = threading.Lock()

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("AWS_ENDPOINT_URL", self.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def heal(self) -> None:
        """Everything is let through again, and so much later that nobody waits for a writer that died."""
        self.changes_left = None
        self.changes = 0
        self.forget_writers()

    def forget_writers(self) -> None:
        """Takes away what keeps writers out, as the next one does where a writer counts as dead."""
        while self._announced:
            url = self._upstream.copy_with(raw_path=self._announced.pop())
            CLIENT.delete(url, headers={"Authorization": "AWS test:test"})

    def let_through(self, method: str) -> bool:
        with self._lock:
            if self.changes_left == 0:
                return False
            if method in ("PUT", "POST", "DELETE"):
                self.changes += 1
                if self.changes_left is not None:
                    self.changes_left -= 1
            return True

    async def pass_on(self, request: Request) -> Response:
        body = await request.body()
        if not self.let_through(request.method):
            return Response(REFUSAL, 403, {"Connection": "close"}, "application/xml")
        path: bytes = request.scope["raw_path"]
        if request.method == "PUT" and f"/{WRITERS}/".encode() in path:
            self._announced.add(path)
        url = self._upstream.copy_with(raw_path=b"?".join(filter(None, (path, request.scope["query_string"]))))
        headers = {name: text for name, text in request.headers.items() if name not in HOP_BY_HOP}
        answer = await self._client.request(request.method, url, content=body, headers=headers)
        told = {name: text for name, text in answer.headers.items() if name not in HOP_BY_HOP}
        return Response(answer.content, answer.status_code, told)


@contextmanager
def serve_s3() -> Iterator[S3]:
    s3 = S3(share("s3", _start_server)["port"])
    with serve_answers(s3.pass_on) as s3.url:
        yield s3


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
