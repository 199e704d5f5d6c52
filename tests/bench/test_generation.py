"""How long the flow's generation takes over the ideal, beside bare loops that send the same calls: ROUNDS=n.

The time is the provider's: from the first call for a cell to the last answer. CPU is that of the asking process in this
time, so no import is in it; the first call of all, which costs litellm its lazy imports, is the one for subjects.
"""

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median

import pytest
from chaos.faults import Script
from chaos.ledger import Entry
from chaos.provider import ChaosProvider, serve_chaos
from fakes.builders import make_level, make_model, make_test_plan, make_trait
from fakes.load import send_load, write_request
from fakes.site import Site, open_site
from fakes.waiting import wait_until
from fakes.workspace import ROOT, make_workspace

from engine.generation.requests import make_chat_request
from engine.llm.request import Prompt
from engine.planning.plan import RoundHistory, plan_round

CALLS = 500
CONCURRENCY = 32
ROUNDS = int(os.environ.get("ROUNDS", "3"))
# Two traits, two poles, 1.25 cells for each exemplar: 500 cells in the one round.
DIAL = {"exemplars_per_pole": 100, "over_generation": 1.25, "top_up_rounds": 0}
SAMPLE_SECONDS = 0.02
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """What a process has used, sample by sample: the moment, CPU seconds so far, and peak memory so far in MB."""

    samples: list[tuple[float, float, int]] = field(default_factory=list)

    def cpu_at(self, moment: float) -> float:
        """CPU seconds up to a moment."""
        return max((cpu for when, cpu, _ in self.samples if when <= moment), default=0.0)

    def peak_mb_at(self, moment: float) -> int:
        """The peak of its memory up to a moment."""
        return max((peak for when, _, peak in self.samples if when <= moment), default=0)


@dataclass(frozen=True)
class Result:
    """One run of one contender. ``tasks`` are the seconds that the flow's own tasks took."""

    seconds: float
    cpu_ms_a_call: float
    server_ms_a_call: float
    peak_mb: int
    tasks: float = math.nan


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A Prefect server for all runs."""
    with open_site(make_workspace(tmp_path_factory.mktemp("site") / "site")) as opened:
        opened.start_server()
        yield opened


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("latency_seconds", [0.2, 1.0])
def test_time_of_generation_over_the_ideal(tmp_path: Path, site: Site, latency_seconds: float) -> None:
    script = Script(latency_seconds=latency_seconds)
    found: dict[str, list[Result]] = {"flow": [], "bare litellm": [], "bare openai": []}
    with serve_chaos(tmp_path / "recorded", Script(), keep_bodies=True) as provider:
        run_flow(tmp_path / "recorded", provider, site)
    bodies = provider.bodies
    for number in range(ROUNDS):
        for name, results in found.items():
            folder = tmp_path / f"{number} {name}"
            with serve_chaos(folder, script) as provider:
                if name == "flow":
                    results.append(run_flow(folder, provider, site))
                else:
                    results.append(run_loop(name.split()[1], provider, bodies))
    ideal = math.ceil(CALLS / CONCURRENCY) * latency_seconds
    print(f"\n{CALLS} calls of {latency_seconds:g} s, {CONCURRENCY} in flight: ideal {ideal:.1f} s, {ROUNDS} rounds")
    print(show(found, ideal))


def test_cost_of_a_call_at_the_provider(tmp_path: Path) -> None:
    """What is measured shares the cores with the provider: it had better be light."""
    plan = make_test_plan(make_model(make_trait("clarity")), make_level(CALLS, over_generation=1.0))
    requests = [
        make_chat_request(plan, cell, "English")
        for cell in plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}))
    ]
    with serve_chaos(tmp_path, Script(latency_seconds=0.2)) as provider:
        url = f"{provider.url}/chat/completions"
        sent = [write_request("POST", url, make_body(request.prompt)) for request in requests]
        with watch(provider.process.pid) as usage:
            load = send_load(url, iter(sent), CONCURRENCY, 60)
        ms = (usage.cpu_at(math.inf) - usage.samples[0][1]) * 1000 / len(sent)
    print(f"\n{len(sent)} calls in {load.lasted_seconds:.1f} s: {ms:.2f} CPU-ms each")

    assert {200: 2 * CALLS} == load.statuses


def make_body(prompt: Prompt) -> dict[str, object]:
    """A request as a client would send it."""
    said = {"system": prompt.system, "user": prompt.user}
    return {"model": "test", "messages": [{"role": role, "content": text} for role, text in said.items()]}


def run_flow(folder: Path, provider: ChaosProvider, site: Site) -> Result:
    """The main job in a process of its own, against the site's Prefect server."""
    variables = provider.variables | {"EXEMPLARS_CONCURRENCY": str(CONCURRENCY)}
    workspace = make_workspace(folder / "work", None, **variables)
    workspace.write_effort(**DIAL)
    process = workspace.start("--json", PREFECT_API_URL=site.url)
    with watch(process.pid) as usage, watch(site.processes["server"].pid) as server:
        said, complaint = process.communicate()
    # 1: the one round did not meet the quota, which is not what is measured here.
    assert process.returncode in (0, 1), complaint
    run_id = str(json.loads(said.splitlines()[-1])["run_id"]) if said else ""
    return measure(provider, usage, server, time_tasks(site, run_id))


def run_loop(kind: str, provider: ChaosProvider, bodies: Path) -> Result:
    """A bare loop in a process of its own."""
    command = [sys.executable, "-m", "bench.loops", kind, provider.url, str(bodies), str(CONCURRENCY)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    with watch(process.pid) as usage:
        complaint = process.communicate()[1]
    assert 0 == process.returncode, complaint
    return measure(provider, usage, Usage())


def measure(provider: ChaosProvider, usage: Usage, server: Usage, tasks: float = math.nan) -> Result:
    """What the ledger and the samples say of the calls for cells."""
    cells: list[Entry] = [entry for entry in provider.read() if entry.kind == "cell"]
    assert CALLS == len(cells)
    begun, ended = min(entry.begun for entry in cells), max(entry.ended for entry in cells)
    used, served = ((item.cpu_at(ended) - item.cpu_at(begun)) * 1000 / CALLS for item in (usage, server))
    return Result(ended - begun, used, served, usage.peak_mb_at(ended), tasks)


def time_tasks(site: Site, run_id: str) -> float:
    """The seconds from the start of the first task ``generate`` to the end of the last."""
    if not run_id:
        return math.nan
    wanted = {"flow_runs": {"id": {"any_": [run_id]}}, "task_runs": {"name": {"like_": "generate"}}}
    # The server takes them in some time later.
    wait_until(lambda: all(run["end_time"] for run in site.ask("POST", "/task_runs/filter", **wanted)), 60, "the tasks")
    runs = site.ask("POST", "/task_runs/filter", **wanted)
    starts, ends = ([datetime.fromisoformat(run[name]) for run in runs] for name in ("start_time", "end_time"))
    return (max(ends) - min(starts)).total_seconds()


@contextmanager
def watch(pid: int) -> Iterator[Usage]:
    """Samples what a process uses while the block runs."""
    usage, over = Usage(), threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                return
            if "VmHWM:" in status:
                peak_mb = int(status.split("VmHWM:")[1].split()[0]) // 1024
                usage.samples.append((time.time(), (int(fields[11]) + int(fields[12])) / TICKS, peak_mb))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield usage
    finally:
        over.set()
        thread.join()


def show(found: dict[str, list[Result]], ideal: float) -> str:
    """The table: medians, and the least and the most of the times over the ideal."""
    lines = [
        f"{'':<14}{'× ideal':>9}{'from':>7}{'to':>7}{'tasks ×':>9}{'CPU ms a call':>15}{'server’s':>10}{'peak MB':>9}"
    ]
    for name, results in found.items():
        ratios = sorted(result.seconds / ideal for result in results)
        tasks = median(result.tasks / ideal for result in results)
        cpu, served = (median(getattr(item, key) for item in results) for key in ("cpu_ms_a_call", "server_ms_a_call"))
        peak_mb = max(result.peak_mb for result in results)
        lines.append(
            f"{name:<14}{median(ratios):>9.2f}{ratios[0]:>7.2f}{ratios[-1]:>7.2f}{tasks:>9.2f}{cpu:>15.2f}"
            f"{served:>10.2f}{peak_mb:>9}"
        )
    return "\n".join(lines)
