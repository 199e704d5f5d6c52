"""A night of ``MODELS=500`` by batches, from the first plan to the last set, with a clock that is moved by half hours.

All in this process but Prefect's server: seconds, files, lines, and what was asked live.
"""

import asyncio
import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.batches import BatchServer, Manner, serve_batches
from fakes.catalogue import NAMESPACE, make_catalogue
from fakes.provider import Behaviour

from flows.batches import collect

MODELS = int(os.environ.get("MODELS", "500"))

HALF_HOUR, HOURS_OUT = 1800.0, 5
# Of its issue's aims.
MOST_FILES = 2


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.usefixtures("prefect_server")
def test_night_goes_in_two_files_at_most_and_attaches_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.backfill import backfill

    with serve_batches(Behaviour(), Manner(seconds=HOURS_OUT * 3600)) as server:
        workspace = make_catalogue(tmp_path, server.provider, MODELS, EXEMPLARS_SYNTH_PRICE="1/2")
        workspace.enter(monkeypatch)
        passes = move_clock(monkeypatch, server)
        begun = time.monotonic()
        counts = asyncio.run(backfill(namespace=NAMESPACE, effort="low", batch="first", max_cost_usd=100.0))
        seconds = time.monotonic() - begun
    sent = server.submitted
    print(f"\n{MODELS} models: {counts} after {seconds:.0f} s, the batch sent after {passes[0] - begun:.0f} s")
    sizes = [len(batch.lines) for batch in server.batches.values()]
    print(f"{len(sizes)} files of {sizes} lines, {len(passes)} passes over {HOURS_OUT} h; ", end="")
    print(f"{server.provider.calls.total() - sent.total()} of {server.provider.calls.total()} calls live; ", end="")
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")

    assert {"attached": MODELS} == counts
    assert MOST_FILES >= len(sizes)
    assert {1} == set(sent.values()) == set(server.billed.values())
    assert MODELS == len(workspace.list_sets())


def move_clock(monkeypatch: pytest.MonkeyPatch, server: BatchServer) -> list[float]:
    """Moves the clock on after each pass; when each was."""
    passes, once = list[float](), collect.collect_once

    async def look(*arguments: Any) -> Any:
        if passes:
            server.advance(HALF_HOUR)
        told = await once(*arguments)
        passes.append(time.monotonic())
        return told

    monkeypatch.setattr(collect, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(collect, "CLOCK", server.clock)
    monkeypatch.setattr(collect, "collect_once", look)
    return passes
