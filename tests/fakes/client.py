"""A synth model that is asked in the process: it answers by a function, and counts."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fakes.reply_tables import place_in

from engine.domain.progress import Event
from engine.llm.client.request import Endpoint, Reply, Request
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.model_gateway import ModelGateway

CHAT = Endpoint(name="openai/test", model="openai/test", identity="openai/test@")
PLAIN = Endpoint(name="embedded/test", model="text-completion-openai/test", identity="embedded:1", style="plain")

Answer = Callable[[Request], Reply | Exception]


class FakeClient:
    """Answers each request by ``answer``, after so many ``seconds`` in which others begin; an exception that it returns
    is raised. ``most_in_flight`` is the peak.
    """

    def __init__(self, answer: Answer, endpoint: Endpoint = CHAT, seconds: float = 0.001) -> None:
        self.endpoint = endpoint
        self.requests: list[Request] = []
        self.most_in_flight = 0
        self._answer = answer
        self._seconds = seconds
        self._in_flight = 0

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            await asyncio.sleep(self._seconds)
            answer = self._answer(request)
        finally:
            self._in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer


def labelled(label: str, request: Request) -> Request:
    return replace(request, label=label)


class HeardProgress:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)


def make_fake_gateway(
    folder: Path, client: FakeClient, progress: HeardProgress | None = None, budget: RunBudget | None = None
) -> ModelGateway:
    heard, allowed = progress or HeardProgress(), budget or RunBudget(4)
    return ModelGateway(client, place_in(folder), heard, allowed, wait_seconds=0.001)
