"""How much longer a run through faults takes than its own clean run, and what its set lacks: ROUNDS=n.

A short form runs with all tests: ``tests/engine/run/test_through_faults.py``.
"""

import os
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from bench.faults import SHARES, measure, measure_pair
from chaos.faults import Fault, Script

CALLS, CONCURRENCY = 500, 32
ROUNDS = int(os.environ.get("ROUNDS", "3"))
MALFORMED: dict[Fault, float] = {fault: share for fault, share in SHARES.items() if fault != "limited"}
LATER: dict[Fault, float] = {"limited_seconds": 0.1, **MALFORMED}
WAYS = {"429": SHARES, "429, Retry-After: 1": LATER}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("latency_seconds", [0.2, 1.0])
@pytest.mark.parametrize("way", WAYS)
def test_time_through_faults_over_a_clean_run(tmp_path: Path, way: str, latency_seconds: float) -> None:
    script = Script(latency_seconds=latency_seconds)
    measure(tmp_path / "warm", Script(), 8, CONCURRENCY)
    pairs = [
        measure_pair(tmp_path / str(seed), CALLS, CONCURRENCY, replace(script, seed=seed), WAYS[way])
        for seed in range(ROUNDS)
    ]
    ratios = sorted(faulty.seconds / clean.seconds for clean, faulty in pairs)
    print(f"\n{CALLS} calls of {latency_seconds:g} s, {CONCURRENCY} in flight, {way}: × its own clean run")
    print(f"{median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}; {pairs[-1][0]}, {pairs[-1][1]}")

    assert {0} == {faulty.lost for _, faulty in pairs}
