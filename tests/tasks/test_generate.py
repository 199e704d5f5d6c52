"""Blocks are embedded in the order of the plan, whichever is answered first."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from fakes.builders import make_cell, make_exemplar, make_state
from fakes.client import HeardProgress
from fakes.word_vectors import WordVectors
from prefect.logging import disable_run_logger

from engine.asking.plan import Cell
from engine.domain.progress import CandidatesCounted
from engine.domain.samples import Exemplar
from engine.run import rounds
from engine.run.rounds import BLOCK, RunTools
from engine.system.worker_process import Executor
from tasks.generate import generate

TEXTS = [f"text {number}" for number in range(2 * BLOCK + 20)]


class WatchedVectors(WordVectors):
    def __init__(self) -> None:
        self.embedded: list[list[str]] = []

    async def embed_ahead(self, texts: Sequence[str], run_in_worker: Executor) -> None:
        await run_in_worker(int)
        # Each text is embedded, without its numbers too, and its subject.
        self.embedded.append(list(texts[: len(texts) // 3]))


async def test_blocks_are_embedded_in_the_order_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    left, embedder, progress = iter(TEXTS), WatchedVectors(), HeardProgress()
    models: Any = SimpleNamespace(gateway=None)
    screener: Any = SimpleNamespace(apply_rules=list)
    own_rules: Any = None

    async def answer(_plan: object, _cell: Cell, _gateway: object, _prompts: object) -> list[Exemplar]:
        text = next(left)
        # The later it is asked for, the sooner it comes.
        await asyncio.sleep(0.2 * (1 - TEXTS.index(text) / len(TEXTS)))
        return [make_exemplar(text)]

    monkeypatch.setattr(rounds, "generate_cell", answer)
    tools = RunTools(models, screener, embedder, own_rules, progress)
    with disable_run_logger():
        made = await generate(lambda step, *args: step.fn(*args), make_state(), [make_cell()] * len(TEXTS), tools)

    assert TEXTS == [item.text for item in made.exemplars]
    assert TEXTS == [text for block in embedder.embedded for text in block]
    assert [50, 10, 50, 10] == [len(block) for block in embedder.embedded]
    told = [event.texts["clarity", "positive"] for event in progress.events if isinstance(event, CandidatesCounted)]
    assert [10, 10, 50, 50] == sorted(told)
