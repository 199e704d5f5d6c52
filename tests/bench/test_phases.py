"""Where the seconds of ``exemplars synthesize`` go, step by step, and how many cores are busy meanwhile: CALLS=n.

With ``EXEMPLARS_BENCH_ATTACHED`` and ``EXEMPLARS_BENCH_STORE`` the model has what ``test_million.py`` has put there.

A core and more that is busy while a step waits is what overlaps with it: the temporary server's start and end, Great
Expectations' import, the rules that are applied to what has come.
"""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bench.process_tree import list_below, read_cpu_seconds
from bench.test_million import ATTACHED, MODEL, STORE
from bench.test_process import CONCURRENCY, EXEMPLARS, LATENCY_SECONDS, list_variables
from chaos.faults import Script
from chaos.provider import ChaosProvider, serve_chaos
from fakes.workspace import HANDLE, make_workspace

CALLS = int(os.environ.get("CALLS", "500"))
SAMPLE_SECONDS = 0.05
# How the message begins that a run logs when a step is over.
STEPS = {
    "Beginning flow run": "start: imports, temporary server",
    f"{MODEL}: " if STORE else f"{HANDLE}: ": "load",
    "Plan ": "plan, with the call for subjects",
    "Estimate": "estimate",
    # The last round's: each later one overwrites it.
    "Round ": "ask, screen and choose",
    "Checked": "check",
    "attached": "write",
    "Finished in state Completed('": "report",
}


@dataclass
class Watched:
    """The CPU seconds that the command, and what it has started, had used at some moments since the epoch."""

    moments: list[tuple[float, float, float]] = field(default_factory=list)

    def count(self, begun: float, ended: float) -> tuple[float, float]:
        """The CPU seconds between two moments: the command's, and those of its children."""
        first = max((row for row in self.moments if row[0] <= begun), default=self.moments[0])
        last = max((row for row in self.moments if row[0] <= ended), default=first)
        return last[1] - first[1], last[2] - first[2]


@pytest.mark.timeout(3600)
def test_seconds_of_each_step(tmp_path: Path) -> None:
    with serve_chaos(tmp_path / "provider", Script(latency_seconds=LATENCY_SECONDS)) as provider:
        run_command(tmp_path / "first", tmp_path / "home", provider)
        begun, ended, told, watched = run_command(tmp_path / "second", tmp_path / "home", provider)
    print(f"\n{CALLS} calls of {LATENCY_SECONDS:g} s, {CONCURRENCY} in flight")
    print(f"{'':<36}{'from':>7}{'seconds':>9}{'CPU s':>8}{'its own':>9}{'of others':>11}{'cores':>7}")
    before = begun
    for step, moment in [*told.items(), ("end", ended)]:
        own, others = watched.count(before, moment)
        seconds = moment - before
        print(f"{step:<36}{before - begun:>7.1f}{seconds:>9.2f}{own + others:>8.2f}", end="")
        print(f"{own:>9.2f}{others:>11.2f}{(own + others) / max(seconds, 1e-9):>7.1f} {'█' * round(4 * seconds)}")
        before = moment

    assert list(STEPS.values()) == list(told)


def run_command(folder: Path, home: Path, provider: ChaosProvider) -> tuple[float, float, Mapping[str, float], Watched]:
    """Runs it; the moments of its begin and end, those at which each step was over, and the CPU seconds meanwhile."""
    variables = {"EXEMPLARS_CONCURRENCY": str(CONCURRENCY), "EXEMPLARS_LOG_FORMAT": "json"}
    variables |= {"EXEMPLARS_MAX_COST_USD": "1000"}
    workspace = make_workspace(folder, None, **provider.variables | variables)
    workspace.write_effort(exemplars_per_pole=max(CALLS // 4, 1), over_generation=1.0, max_cost_usd=1000.0)
    handle = HANDLE
    if STORE:
        handle = MODEL
        shutil.copytree(workspace.model, workspace.model.with_name(MODEL))
        shutil.copytree(Path(STORE, str(ATTACHED), "samples"), workspace.samples, copy_function=os.link)
    begun, over, watched = time.time(), threading.Event(), Watched()
    process = subprocess.Popen(
        [str(EXEMPLARS), "synthesize", handle, "--effort", "low", "--json"],
        env=list_variables(workspace) | {"PREFECT_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watching = threading.Thread(target=watch, args=(process.pid, watched, over), daemon=True)
    watching.start()
    told: dict[str, float] = {}
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line).get("message", "")
        moment = time.time()
        told |= {step: moment for begins, step in STEPS.items() if message.startswith(begins)}
    code = process.wait()
    ended = time.time()
    over.set()
    watching.join()
    assert 0 == code
    return begun, ended, told, watched


def watch(pid: int, watched: Watched, over: threading.Event) -> None:
    """Notes the CPU seconds until it is over; those of a child that has ended stay."""
    others: dict[int, float] = {}
    own = 0.0
    while not over.wait(SAMPLE_SECONDS):
        own = read_cpu_seconds(pid) or own
        others |= {child: seconds for child in list_below(pid) if (seconds := read_cpu_seconds(child))}
        watched.moments.append((time.time(), own, sum(others.values())))
