"""A receiver: an address on loopback that keeps what is posted to it, and answers the same to all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fakes.provider import serve_answers
from fastapi import Request, Response


@dataclass
class Receiver:
    """``path`` and ``headers`` are the last message's."""

    port: int = 0
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def open_receiver(status: int = 204, answer: str = "") -> Iterator[Receiver]:
    received = Receiver()

    async def take(request: Request) -> Response:
        if request.method == "POST":
            received.messages.append(await request.json())
            received.path = str(request.url).removeprefix(str(request.base_url).rstrip("/"))
            received.headers = dict(request.headers)
        return Response(answer, status)

    with serve_answers(take) as url:
        received.port = int(url.rpartition(":")[2])
        yield received
