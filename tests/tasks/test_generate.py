"""Blocks are embedded in the order of the plan, whichever is answered first."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fakes.builders import make_cell, make_exemplar
from fakes.client import HeardProgress
from prefect.logging import disable_run_logger

from engine.asking.plan import Cell
from engine.choosing.rounds import Rounds
from engine.domain.progress import CandidatesCounted
from engine.domain.samples import Exemplar
from engine.llm.gateway.model_gateway import ModelGateway
from engine.system.worker_process import Executor, run_here
from tasks import generate as module
from tasks.generate import BLOCK, generate

TEXTS = [str(number) for number in range(2 * BLOCK + 20)]


class WatchedRounds(Rounds):
    """Of which nothing but what is embedded is looked at."""

    def __init__(self) -> None:
        self.plan: Any = None
        self.prompts: dict[str, Any] = {}
        self.screener: Any = SimpleNamespace(apply_rules=list)
        self.embedded: list[list[str | None]] = []

    async def embed(self, exemplars: Any, run_in_worker: Executor) -> None:
        await run_in_worker(int)
        self.embedded.append([item.text for item in exemplars])


async def test_blocks_are_embedded_in_the_order_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    left, rounds, gateway = iter(TEXTS), WatchedRounds(), object.__new__(ModelGateway)
    progress = HeardProgress()

    async def answer(_plan: object, _cell: Cell, _gateway: object, _prompts: object) -> list[Exemplar]:
        text = next(left)
        # The later it is asked for, the sooner it comes.
        await asyncio.sleep(0.2 * (1 - int(text) / len(TEXTS)))
        return [make_exemplar(text)]

    monkeypatch.setattr(module, "generate_cell", answer)
    with disable_run_logger():
        asked = rounds, [make_cell()] * len(TEXTS), gateway, progress, run_here
        made = await generate(*asked, lambda step, *args: step.fn(*args))

    assert TEXTS == [item.text for item in made]
    assert TEXTS == [text for block in rounds.embedded for text in block]
    assert [50, 10, 50, 10] == [len(block) for block in rounds.embedded]
    told = [event.texts["clarity", "positive"] for event in progress.events if isinstance(event, CandidatesCounted)]
    assert [10, 10, 50, 50] == sorted(told)
