"""A push to a door whose answers get lost, before and after what they tell was done: all is there, and none twice."""

import random
from pathlib import Path

from fakes.provider import serve_app
from fakes.stored import attach_set
from fakes.surface import Surface, list_all
from fakes.workspace import HANDLE
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.handover.attached import find_attached
from engine.handover.platform import Platform
from engine.handover.push import PushCounts, push_samples

SAMPLES, SETS, AUTHORED = 1500, 3, 6


class Lossy:
    """Of each five requests one is lost on its way, and the answer of another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._chance = random.Random(1)
        self.lost = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fate = self._chance.randrange(5)
        if fate > 1:
            await self._app(scope, receive, send)
            return
        self.lost += 1
        if fate == 1:
            await self._app(scope, receive, forget)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"{"})


async def forget(_: Message) -> None:
    """Nothing."""


def test_lost_requests_and_answers_leave_no_sample_out_and_none_twice(surface: Surface, tmp_path: Path) -> None:
    source, models = str(tmp_path / "samples"), str(surface.workspace.model.parent)
    for number in range(SETS):
        attach_set(Path(source), f"set-{number}", SAMPLES // SETS, ("clarity", "safety"), handle=HANDLE)
    lossy, door, counts = Lossy(surface.app), FastAPI(), PushCounts()
    door.mount("", lossy)
    waits = {"timeout_seconds": 60, "patience_seconds": 60, "wait_seconds": 0.01}
    with serve_app(door) as url, Platform(url, HANDLE, surface.secret, tell=print, **waits) as sent:
        push_samples(find_attached(models, source, HANDLE, ["train"], None), sent, counts)
    listed = list_all(surface.author, f"/models/{HANDLE}/samples", limit=500)[AUTHORED:]

    assert lossy.lost > 1
    assert SAMPLES == counts.sent + counts.present == len(listed)
    assert {
        ("safety" if number % 2 else "clarity", f"set-{part} {number}", float(not number % 2))
        for part in range(SETS)
        for number in range(SAMPLES // SETS)
    } == {(item["trait"], item["text"], item["quality"]) for item in listed}
