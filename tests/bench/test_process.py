"""How long ``exemplars synthesize`` takes as a process, beside a bare litellm loop that sends the same calls.

Both are measured in one run, one after the other: the machine has other work too. ROUNDS=n for more than one.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest
from bench.process_tree import Measured, measure_command
from chaos.faults import Script
from chaos.provider import ChaosProvider, serve_chaos
from fakes.site import clear_environment
from fakes.workspace import HANDLE, make_workspace

LATENCY_SECONDS = 0.2
CONCURRENCY = 32
ROUNDS = int(os.environ.get("ROUNDS", "3"))
# Calls by the exemplars that each of two traits has at each of two poles; one call more asks for subjects.
PER_POLE = {10: 3, 500: 125}
# Over the bare loop's process; CI allows twice as much.
AIMS = {10: 1.7, 500: 1.4}
EXEMPLARS = Path(sys.executable).with_name("exemplars")


def show(name: str, runs: Sequence[Measured]) -> str:
    """A line of the table: medians, the least and the most of the seconds, and the peak of memory."""
    seconds = [run.seconds for run in runs]
    to_last, cpu_seconds = (
        median(getattr(run, figure) for run in runs) for figure in ("seconds_to_last", "cpu_seconds")
    )
    return (
        f"{name:<14}{median(seconds):>9.2f}{min(seconds):>8.2f}{max(seconds):>8.2f}{to_last:>9.2f}{cpu_seconds:>8.2f}"
        f"{max(run.peak_mb for run in runs):>9,}"
    )


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("calls", PER_POLE)
def test_time_of_a_process_over_a_bare_loop(tmp_path: Path, calls: int) -> None:
    compare(tmp_path, calls, ROUNDS)


@pytest.mark.short
@pytest.mark.timeout(900)
def test_process_takes_at_most_twice_what_it_should(tmp_path: Path) -> None:
    assert compare(tmp_path, 10, rounds=1) <= 2 * AIMS[10]


def compare(folder: Path, calls: int, rounds: int) -> float:
    """Runs both in turn, the loop with the calls that the first run has made; prints the table.

    Returns:
        How often the loop's seconds the command takes.
    """
    home, bodies = folder / "home", folder / "bodies.jsonl"
    with serve_chaos(Script()) as provider:
        run_flow(folder / "recorded", provider, calls, home)
        bodies.write_text("\n".join(map(json.dumps, provider.bodies)))
    flows, loops = [], []
    with serve_chaos(Script(latency_seconds=LATENCY_SECONDS)) as provider:
        for number in range(rounds):
            flows.append(run_flow(folder / str(number), provider, calls, home))
            command = (sys.executable, "-m", "bench.loops", provider.url, str(bodies), str(CONCURRENCY))
            loops.append(measure_command(command, os.environ))
    seconds, cpu_seconds = (
        median(getattr(run, figure) for run in flows) / median(getattr(run, figure) for run in loops)
        for figure in ("seconds", "cpu_seconds")
    )
    print(f"\n{calls} calls of {LATENCY_SECONDS:g} s, {CONCURRENCY} in flight, {rounds} rounds: ", end="")
    print(f"{seconds:.2f} × a bare loop's seconds (aim {AIMS[calls]:g}), {cpu_seconds:.2f} × its CPU seconds")
    print(f"{'':<14}{'seconds':>9}{'from':>8}{'to':>8}{'to last':>9}{'CPU s':>8}{'peak MB':>9}")
    print(show("exemplars", flows), show("bare litellm", loops), sep="\n")
    return float(seconds)


def run_flow(folder: Path, provider: ChaosProvider, calls: int, home: Path) -> Measured:
    workspace = make_workspace(folder / "work", provider, EXEMPLARS_CONCURRENCY=str(CONCURRENCY))
    workspace.write_effort(exemplars_per_pole=PER_POLE[calls], over_generation=1.0)
    environment = clear_environment() | workspace.variables | {"PREFECT_HOME": str(home)}
    return measure_command([str(EXEMPLARS), "synthesize", HANDLE, "--effort", "low", "--json"], environment)
