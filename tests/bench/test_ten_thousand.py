"""A run of 10,000 calls of 20 ms, from the command to the committed set, beside a bare litellm loop: CALLS=n.

Both are processes of their own, and so is the provider. CPU time is that of all processes of the run, the temporary
Prefect server among them; memory is the peak of their PSS together.
"""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench.test_generation import CONCURRENCY
from chaos.faults import Script
from chaos.provider import ChaosProvider, serve_chaos
from fakes.workspace import ROOT, make_workspace

CALLS = int(os.environ.get("CALLS", "10000"))
LATENCY_SECONDS = 0.02
# Two traits of two poles, a cell for each exemplar.
DIAL = {"exemplars_per_pole": CALLS // 4, "over_generation": 1.0, "top_up_rounds": 0}
SAMPLE_SECONDS = 0.5


@dataclass
class Cost:
    """What a process and its children took; ``asking_seconds`` is from the first call for a cell to the last answer."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    asking_seconds: float = 0.0

    def show(self, name: str, partner: "Cost") -> str:
        """A line of the table."""
        return (
            f"{name:<20}{self.seconds:>9.1f}{self.seconds / partner.seconds:>7.2f}{self.cpu_seconds:>9.1f}"
            f"{1e3 * self.cpu_seconds / CALLS:>12.2f}{CALLS / self.asking_seconds:>10.0f}{self.peak_mb:>9.0f}"
        )


@pytest.mark.timeout(7200)
def test_ten_thousand_calls(tmp_path: Path) -> None:
    script = Script(latency_seconds=LATENCY_SECONDS)
    with serve_chaos(tmp_path / "run", script, keep_bodies=True) as provider:
        run = run_command(tmp_path / "run", provider)
    with serve_chaos(tmp_path / "loop", script) as other:
        loop = run_loop(other, provider.bodies)
    print(f"\n{CALLS} calls of {LATENCY_SECONDS:g} s, {CONCURRENCY} in flight")
    print(f"{'':<20}{'seconds':>9}{'×':>7}{'CPU s':>9}{'ms a call':>12}{'calls/s':>10}{'peak MB':>9}")
    print(loop.show("bare litellm loop", loop))
    print(run.show("the run", loop))


def run_command(folder: Path, provider: ChaosProvider) -> Cost:
    """The main job as a person starts it, without a Prefect server."""
    variables = provider.variables | {"EXEMPLARS_CONCURRENCY": str(CONCURRENCY), "EXEMPLARS_MAX_COST_USD": "1000"}
    workspace = make_workspace(folder / "work", None, **variables)
    workspace.write_effort(**DIAL | {"max_cost_usd": 1000.0})
    with taking(lambda: list(workspace.list_processes())) as cost:
        process = workspace.start("--json", PREFECT_HOME=str(folder / "prefect"))
        said, complaint = process.communicate()
    # 1: a reply that is a near duplicate of another leaves the quota short, which is not what is measured here.
    assert process.returncode in (0, 1), complaint
    assert process.returncode == 1 or json.loads(said.splitlines()[-1])["run_id"]
    cost.asking_seconds = time_asking(provider)
    return cost


def run_loop(provider: ChaosProvider, bodies: Path) -> Cost:
    """The same calls by a bare loop."""
    command = [sys.executable, "-m", "bench.loops", "litellm", provider.url, str(bodies), str(CONCURRENCY)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    pids: list[int] = []
    with taking(lambda: pids) as cost:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        pids.append(process.pid)
        complaint = process.communicate()[1]
    assert 0 == process.returncode, complaint
    cost.asking_seconds = time_asking(provider)
    return cost


def time_asking(provider: ChaosProvider) -> float:
    """The seconds from the first call for a cell to the last answer."""
    cells = [entry for entry in provider.read() if entry.kind == "cell"]
    assert CALLS <= len(cells)
    return max(entry.ended for entry in cells) - min(entry.begun for entry in cells)


@contextmanager
def taking(list_pids: Callable[[], list[int]]) -> Iterator[Cost]:
    """Fills in, at the end of the block, what the processes that it starts and waits for have taken."""
    cost, over = Cost(), threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            cost.peak_mb = max(cost.peak_mb, sum(map(read_pss_mb, list_pids())))

    thread = threading.Thread(target=sample)
    thread.start()
    began, cpu_began = time.perf_counter(), count_cpu_seconds()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - began
        cost.cpu_seconds = count_cpu_seconds() - cpu_began
        over.set()
        thread.join()


def count_cpu_seconds() -> float:
    """CPU seconds of this process's children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read_pss_mb(pid: int) -> float:
    """The share of memory that is a process's, in MB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
