"""Hundreds of models in one backfill, on PostgreSQL and on SQLite: models a minute, memory, what Prefect has to bear.

``MODELS=300`` models of one trait at the committed effort ``low``, a provider that takes 200 ms, five bad models among
them; killed at half and started again. Provider, Prefect's server, its database and the backfill share the machine.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes.catalogue import NAMESPACE, make_catalogue
from fakes.postgres import serve_postgres
from fakes.site import Site, open_site
from fakes.slow_provider import Remote, start_provider
from fakes.workspace import ROOT, read_manifest

from engine.replies.admin import list_cache
from engine.settings import RepliesPlace
from engine.store.backfill_ledger import BACKFILLS, Ledger, parse_ledger

MODELS = int(os.environ.get("MODELS", "300"))
AT_ONCE = int(os.environ.get("AT_ONCE", "8"))
BAD = tuple(number for number in (7, 70, 107, 170, 207) if number < MODELS)
SECONDS = 0.2
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Round:
    """A Prefect server on its database, a catalogue, and the provider; ``rows`` is what was measured there."""

    site: Site
    provider: Remote
    rows: list[tuple[str, str]] = field(default_factory=list)
    peak_bytes: int = 0

    def note(self, name: str, value: object) -> None:
        self.rows.append((name, str(value)))

    def start(self) -> "subprocess.Popen[bytes]":
        """The command, in a process group of its own."""
        asked = ["backfill", "--namespace", NAMESPACE, "--effort", "low", "--models-at-once", str(AT_ONCE)]
        return subprocess.Popen(
            [sys.executable, "-c", "import sys; from flows.cli.app import main; sys.exit(main(sys.argv[1:]))", *asked],
            cwd=ROOT,
            env=self.site.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, process: "subprocess.Popen[bytes]") -> None:
        """Notes the memory of its processes until it has ended."""
        while process.poll() is None:
            # One that has just ended has no memory to read.
            with suppress(OSError):
                pages = [int(read_process(pid, "statm").split()[1]) for pid in list_family(process.pid)]
                self.peak_bytes = max(self.peak_bytes, sum(pages) * PAGE_BYTES)
            time.sleep(0.2)

    def read_ledgers(self) -> list[Ledger]:
        files = (self.site.workspace.samples / BACKFILLS).glob("*.json")
        return [parse_ledger(path.read_bytes()) for path in sorted(files, key=lambda path: path.stat().st_mtime)]

    def count_sets(self) -> Counter[str]:
        manifests = [read_manifest(folder) for folder in self.site.workspace.list_sets()]
        return Counter(manifest["handle"] for manifest in manifests if manifest["status"] == "attached")

    def count(self, what: str) -> int:
        """How many Prefect has of something."""
        if what == "events":
            asked = {"filter": {"occurred": {"since": "2020-01-01T00:00:00Z"}}, "limit": 1}
            return int(self.site.ask("POST", "/events/filter", **asked)["total"])
        return int(self.site.ask("POST", f"/{what}/count"))

    def note_cpu(self, names: Mapping[str, float], done: int) -> None:
        """Notes what was used of the processor, in seconds a model."""
        for name, seconds in names.items():
            self.note(f"seconds of the processor a model: {name}", f"{seconds / done:.2f}")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", ["PostgreSQL", "SQLite"])
def test_hundreds_of_models_with_bad_ones_killed_at_half(tmp_path: Path, database: str) -> None:
    with open_round(tmp_path, database) as bench:
        run_and_kill(bench)
        run_again(bench)
        print("\n".join([f"\n{database}", *(f"  {name:<64}{value:>12}" for name, value in bench.rows)]))

        assert MODELS - len(BAD) == len(bench.count_sets())
        assert {1} == set(bench.count_sets().values())


def run_and_kill(bench: Round) -> None:
    """Until half of the models have their set, and then ``kill -9``."""
    server = bench.site.processes["server"].pid
    began, cpu = time.monotonic(), read_cpu(server)
    process = bench.start()
    watcher = threading.Thread(target=bench.watch, args=(process,))
    watcher.start()
    first: float | None = None
    while (done := len(bench.site.workspace.list_sets())) < MODELS / 2:
        assert process.poll() is None
        if first is None and done >= AT_ONCE:
            first, first_done = time.monotonic(), done
        time.sleep(0.25)
    now = time.monotonic()
    used = {pid: read_cpu(pid) for pid in list_family(process.pid)}
    used_by_server = read_cpu(server) - cpu
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    watcher.join()
    assert first is not None
    bench.note("models a minute, imports and start included", round(60 * done / (now - began)))
    bench.note(f"models a minute, from the {AT_ONCE}th on", round(60 * (done - first_done) / (now - first)))
    beside = sum(used.values()) - used[process.pid]
    bench.note_cpu(
        {"the backfill": used[process.pid], "the process beside it": beside, "Prefect's server": used_by_server}, done
    )
    bench.note("models attached when it was killed", done)


def run_again(bench: Round) -> None:
    """The second start, to its end."""
    killed = bench.provider.read()
    kept = sum(
        plan.replies or 0 for plan in list_cache(RepliesPlace(bench.site.workspace.variables["EXEMPLARS_CACHE_DIR"]))
    )
    began = time.monotonic()
    process = bench.start()
    bench.watch(process)
    seconds = time.monotonic() - began
    ledger = bench.read_ledgers()[-1]
    counts = ledger.count()
    bench.note(
        "second start: attached, passed over, failed", f"{counts['attached']}, {counts['skipped']}, {counts['failed']}"
    )
    bench.note("second start: models a minute", round(60 * counts["attached"] / seconds))
    bench.note("models repeated", sum(count - 1 for count in bench.count_sets().values()))
    asked = bench.provider.read()
    bench.note("calls, and those repeated after the kill", f"{asked.calls}, {asked.repeated - killed.repeated}")
    bench.note("calls under way when it was killed: asked, and no reply kept", killed.calls - kept)
    bench.note("peak memory of the backfill, MB", bench.peak_bytes // 10**6)
    runs, tasks, events = (bench.count(what) for what in ("flow_runs", "task_runs", "events"))
    bench.note("Prefect: flow runs, task runs, events", f"{runs}, {tasks}, {events}")

    assert len(BAD) == counts["failed"]


def read_process(pid: int, what: str) -> str:
    """A file of a process in /proc."""
    return Path(f"/proc/{pid}/{what}").read_text()


def read_cpu(pid: int) -> float:
    """Seconds of the processor that a process has used."""
    fields = read_process(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def list_family(parent: int) -> list[int]:
    """A process and those that it has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid = int(folder.name)
            if parent in (pid, int(read_process(pid, "stat").rpartition(")")[2].split()[1])):
                found.append(pid)
    return found


@contextmanager
def open_round(folder: Path, database: str) -> Iterator[Round]:
    with ExitStack() as stack:
        provider = stack.enter_context(start_provider(SECONDS))
        workspace = make_catalogue(folder / "work", None, MODELS, BAD, **provider.variables)
        workspace.variables["EXEMPLARS_EFFORT_FILE"] = str(ROOT / "data" / "effort.yaml")
        site = stack.enter_context(open_site(workspace))
        if database == "PostgreSQL":
            url = stack.enter_context(serve_postgres(folder / "postgres"))
            workspace.variables["PREFECT_API_DATABASE_CONNECTION_URL"] = url
        site.start_server()
        yield Round(site, provider)
