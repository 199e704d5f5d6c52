"""A push to a door whose answers get lost, before and after what they tell was done: all is there, and none twice."""

import random
from pathlib import Path

import pytest
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

    def __init__(self, app: ASGIApp, seed: int) -> None:
        self._app = app
        self._chance = random.Random(seed)
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


@pytest.mark.parametrize("seed", [1, 2])
def test_lost_requests_and_answers_leave_no_sample_out_and_none_twice(
    surface: Surface, tmp_path: Path, seed: int
) -> None:
    source = tmp_path / "samples"
    for number in range(SETS):
        attach_set(source, f"set-{number}", SAMPLES // SETS, ("clarity", "safety"), handle=HANDLE)
    lossy, door = Lossy(surface.app, seed), FastAPI()
    door.mount("", lossy)
    counts = PushCounts()
    with (
        serve_app(door) as url,
        Platform(
            url, HANDLE, surface.secret, tell=print, timeout_seconds=60, patience_seconds=60, wait_seconds=0.01
        ) as sent,
    ):
        models = str(surface.workspace.model.parent)
        push_samples(find_attached(models, str(source), HANDLE, ["train"], None), sent, counts)
    listed = list_all(surface.author, f"/models/{HANDLE}/samples", limit=500)[AUTHORED:]

    assert lossy.lost > 1
    assert SAMPLES == counts.sent + counts.present
    assert SAMPLES == len(listed) == len({item["id"] for item in listed})
    assert {
        ("safety" if number % 2 else "clarity", f"set-{part} {number}", float(not number % 2))
        for part in range(SETS)
        for number in range(SAMPLES // SETS)
    } == {(item["trait"], item["text"], item["quality"]) for item in listed}
