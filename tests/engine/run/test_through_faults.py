"""A run through faults takes little longer than its own clean run, and its set lacks nothing; the long form is in
``tests/bench``.
"""

from pathlib import Path

from bench.faults import measure, measure_pair
from chaos.faults import Script

CALLS, CONCURRENCY, LATENCY_SECONDS = 160, 32, 0.4
# Twice what it is to be (issue 18).
MAX_RATIO = 2 * 1.35


def test_run_through_faults_loses_nothing_and_takes_little_longer(tmp_path: Path) -> None:
    # The first calls of a process cost litellm its imports.
    measure(tmp_path / "warm", Script(), 8, CONCURRENCY)
    clean, faulty = measure_pair(tmp_path, CALLS, CONCURRENCY, Script(latency_seconds=LATENCY_SECONDS))
    print(f"\n× its own clean run: {faulty.seconds / clean.seconds:.2f}; {clean}, {faulty}")

    assert (0, 0) == (clean.lost, faulty.lost)
    assert faulty.rounds <= clean.rounds
    assert faulty.seconds <= MAX_RATIO * clean.seconds
