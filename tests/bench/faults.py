"""A run through faults over its own clean run: the rounds alone, one after the other in one process."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from chaos.faults import Fault, Script
from chaos.provider import serve_chaos
from fakes.walk import walk_job
from fakes.workspace import make_workspace

from engine.text.embedding import SentenceEncoder

# One call in ten is sent away, one in twenty brings what is not JSON, or not what was asked for.
SHARES: dict[Fault, float] = {"limited": 0.1, "not_json": 0.03, "wrong_keys": 0.02}
TRAITS, POLES = 2, 2


@dataclass(frozen=True)
class Run:
    """One run. ``seconds`` are the provider's, from the first call to the last answer; ``lost`` what the set lacks."""

    seconds: float
    calls: int
    rounds: int
    lost: int


def measure(folder: Path, script: Script, calls: int, concurrency: int) -> Run:
    """A run of so many cells in its first round, no more of them than are wanted."""
    with serve_chaos(folder, script) as provider, pytest.MonkeyPatch.context() as patch:
        variables = provider.variables | {"EXEMPLARS_CONCURRENCY": str(concurrency)}
        workspace = make_workspace(folder / "work", None, **variables)
        workspace.write_effort(exemplars_per_pole=calls // (TRAITS * POLES), over_generation=1.0)
        workspace.enter(patch)
        rounds, _ = asyncio.run(walk_job(SentenceEncoder()))
        entries = provider.read()
    seconds = max(entry.ended for entry in entries) - min(entry.begun for entry in entries)
    return Run(seconds, len(entries), rounds.taken, sum(rounds.choice.shortfall.values()))


def measure_pair(
    folder: Path, calls: int, concurrency: int, script: Script, shares: dict[Fault, float] = SHARES
) -> tuple[Run, Run]:
    """A clean run and one through faults, of the same cells."""
    clean = measure(folder / "clean", replace(script, shares={}), calls, concurrency)
    return clean, measure(folder / "faulty", replace(script, shares=shares), calls, concurrency)
