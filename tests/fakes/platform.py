"""A platform on loopback that takes samples as the contract has it, and fails when it is told to."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fakes.provider import serve_answers
from fastapi import Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from engine.domain.model import digest_text
from engine.domain.samples import make_id

KEY = "exm_0123456789ab_a-key-of-the-platform"
# An answer in place of its own, or what becomes of its own.
Fate = Response | Callable[[Response], Response]


@dataclass
class FakePlatform:
    """``fates`` are taken one a request, as long as there are any; ``requests`` has the method and body of each."""

    samples: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    fates: list[Fate | None] = field(default_factory=list)
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    @property
    def added(self) -> list[int]:
        return [len(json.loads(body)["samples"]) for method, body in self.requests if method == "POST"]

    async def answer(self, request: Request) -> Response:
        body, handle = await request.body(), request.url.path.split("/")[3]
        self.requests.append((request.method, body))
        self.keys.add(request.headers.get("Authorization", ""))
        fate = self.fates.pop(0) if self.fates else None
        if isinstance(fate, Response):
            return fate
        own = self._add(handle, body)
        return fate(own) if fate is not None else own

    def _add(self, handle: str, body: bytes) -> Response:
        ids = []
        for sample in json.loads(body)["samples"]:
            assert sample["content_sha256"] == digest_text(sample["text"])
            ids.append(make_id(handle, sample["trait"], sample["text"]))
            self.samples.setdefault((sample["trait"], sample["text"]), sample)
        return JSONResponse({"ids": ids})


@contextmanager
def serve_platform(platform: FakePlatform) -> Iterator[str]:
    with serve_answers(platform.answer) as url:
        yield url.removesuffix("/v1")


def refuse(
    status: int, code: str, message: str = "No.", headers: dict[str, str] | None = None, **details: Any
) -> Response:
    error = {"code": code, "message": message, "request_id": "r", "details": details}
    return JSONResponse({"error": error}, status, headers)


def cut_off(_: Response) -> Response:
    """Does what is asked, and breaks off in the middle of the answer."""

    async def stream() -> AsyncIterator[bytes]:
        yield b"{"
        raise ConnectionError("cut off, as the test asks")

    return StreamingResponse(stream())
