"""What it takes to find how well seeds place one another, and how long it holds up the loop; the embedding apart."""

import asyncio
import resource
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import pytest
from fakes.builders import make_model
from fakes.crowd import RandomVectors, make_crowd

from engine.quality.reference_axis import ReferenceAxis, prepare_axes
from engine.system.worker_process import WorkerProcess

Result = TypeVar("Result")
BEAT_SECONDS = 0.005


@pytest.mark.parametrize("count", [1_000, 10_000, 100_000])
async def test_cost_of_placing_many_seeds(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors are drawn at random in place of the encoder's, which takes 2.5 ms a text."""
    # The worker process has to find the fakes too.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    embedder = RandomVectors()
    model = make_model(seeds=make_crowd(count // 2))
    with WorkerProcess(print, prepare) as worker:
        await worker.run(prepare)

        async def plan() -> dict[str, ReferenceAxis]:
            return await worker.run(prepare_axes(model, embedder))

        begun = time.perf_counter()
        axes, stall = await watch(plan())
    seconds = time.perf_counter() - begun
    peak_mb = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024
    print(f"\n{count:>7,} seeds {seconds:6.2f} s, longest stall {stall:.2f} s, peak {peak_mb:,} MB")

    assert "clarity" in axes


def prepare() -> None:
    """Imports what the work needs."""


async def watch(work: Coroutine[object, object, Result]) -> tuple[Result, float]:
    """What the work gives, and the longest time in seconds for which the loop did nothing else."""
    longest, last = 0.0, time.perf_counter()
    running = asyncio.create_task(work)
    while not running.done():
        await asyncio.sleep(BEAT_SECONDS)
        now = time.perf_counter()
        longest, last = max(longest, now - last - BEAT_SECONDS), now
    return await running, longest
