"""How much longer a run through faults takes than its own clean run, and what its set lacks: ROUNDS=n.

Measured are the rounds alone, one run after the other in one process.
"""

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import pytest
from chaos.faults import Fault, Script
from chaos.provider import serve_chaos
from fakes.walk import walk_job
from fakes.workspace import make_workspace

from engine.text.embedding import SentenceEncoder

CALLS, CONCURRENCY = 500, 32
ROUNDS = int(os.environ.get("ROUNDS", "3"))
# One call in ten is sent away, one in twenty brings what is not JSON, or not what was asked for.
MALFORMED: dict[Fault, float] = {"not_json": 0.03, "wrong_keys": 0.02}
WAYS: dict[str, dict[Fault, float]] = {
    "429": {"limited": 0.1, **MALFORMED},
    "429, Retry-After: 1": {"limited_seconds": 0.1, **MALFORMED},
}
TRAITS, POLES = 2, 2


@dataclass(frozen=True)
class Run:
    """One run. ``seconds`` are the provider's, from the first call to the last answer; ``lost`` what the set lacks."""

    seconds: float
    calls: int
    rounds: int
    lost: int


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("latency_seconds", [0.2, 1.0])
@pytest.mark.parametrize("way", WAYS)
def test_time_through_faults_over_a_clean_run(tmp_path: Path, way: str, latency_seconds: float) -> None:
    measure(tmp_path / "warm", Script(), 8)
    pairs = []
    for seed in range(ROUNDS):
        script = Script(latency_seconds=latency_seconds, seed=seed)
        clean = measure(tmp_path / f"{seed} clean", script)
        pairs.append((clean, measure(tmp_path / f"{seed} faulty", replace(script, shares=WAYS[way]))))
    ratios = sorted(faulty.seconds / clean.seconds for clean, faulty in pairs)
    print(f"\n{CALLS} calls of {latency_seconds:g} s, {CONCURRENCY} in flight, {way}: × its own clean run")
    print(f"{median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}; {pairs[-1][0]}, {pairs[-1][1]}")

    assert {0} == {faulty.lost for _, faulty in pairs}


def measure(folder: Path, script: Script, calls: int = CALLS) -> Run:
    """A run of so many cells in its first round, no more of them than are wanted."""
    with serve_chaos(folder, script) as provider, pytest.MonkeyPatch.context() as patch:
        variables = provider.variables | {"EXEMPLARS_CONCURRENCY": str(CONCURRENCY)}
        workspace = make_workspace(folder / "work", None, **variables)
        workspace.write_effort(exemplars_per_pole=calls // (TRAITS * POLES), over_generation=1.0)
        workspace.enter(patch)
        rounds, _ = asyncio.run(walk_job(SentenceEncoder()))
        entries = provider.read()
    seconds = max(entry.ended for entry in entries) - min(entry.begun for entry in entries)
    return Run(seconds, len(entries), rounds.taken, sum(rounds.choice.shortfall.values()))
