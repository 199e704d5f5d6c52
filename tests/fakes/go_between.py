"""A go-between: it passes requests on to a Prefect server, late or not at all when it is told so."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from fakes.provider import serve_answers
from fastapi import Request, Response


class GoBetween:
    """``status`` is what it answers itself, ``late_seconds`` how long it keeps what adds slots, ``seen`` each path."""

    def __init__(self, api: str) -> None:
        self.status: int | None = None
        self.late_seconds = 0.0
        self.seen: list[str] = []
        self.url = ""
        self._api = api

    async def answer(self, request: Request) -> Response:
        path = request.url.path.removeprefix("/api/")
        self.seen.append(f"{request.method} {path}")
        if self.status is not None:
            return Response(status_code=self.status)
        async with httpx.AsyncClient() as client:
            url, body = f"{self._api}/{path}?{request.url.query}", await request.body()
            kind = {"Content-Type": "application/json"}
            answered = await client.request(request.method, url, content=body, headers=kind, timeout=30)
        if path.endswith("/increment"):
            await asyncio.sleep(self.late_seconds)
        told = {name: text for name, text in answered.headers.items() if name == "retry-after"}
        return Response(answered.content, answered.status_code, told, "application/json")


@contextmanager
def serve_go_between(api: str) -> Iterator[GoBetween]:
    between = GoBetween(api)
    with serve_answers(between.answer) as url:
        between.url = f"{url}/api"
        yield between
