"""Hundreds of models in one backfill, on PostgreSQL and on SQLite: models a minute, memory, what Prefect has to bear.

``MODELS=300`` models of one trait at the committed effort ``low``, a provider that takes 200 ms, five bad models among
them; killed at half and started again. Provider, Prefect's server, its database and the backfill share the machine.
What a model costs of the processor is counted from the ``AT_ONCE``-th one on, so without imports and the start; where
the cores are the limit, that of one, two and four backfills side by side tells whether more machines would help.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes.catalogue import NAMESPACE, make_catalogue, name_model
from fakes.postgres import USER, Postgres, open_postgres
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
BACKFILLS_AT_ONCE = (1, 2, 4)
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Round:
    """A Prefect server on its database, a catalogue, and the provider; ``rows`` is what was measured there."""

    site: Site
    provider: Remote
    postgres: Postgres | None = None
    rows: list[tuple[str, str]] = field(default_factory=list)
    peak_bytes: int = 0

    def note(self, name: str, value: object) -> None:
        self.rows.append((name, str(value)))

    def start(self, *handles: str, at_once: int = AT_ONCE) -> "subprocess.Popen[bytes]":
        """The command, in a process group of its own, for all models where none are named."""
        which = handles or ("--namespace", NAMESPACE)
        asked = ["backfill", *which, "--effort", "low", "--models-at-once", str(at_once)]
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

    def read_usage(self, *processes: "subprocess.Popen[bytes]") -> Counter[str]:
        """Milliseconds of the processor that each part has used by now: some backfills and all that they share."""
        own = sum(read_cpu(process.pid) for process in processes)
        families = sum(read_cpu(pid) for process in processes for pid in list_family(process.pid))
        used = {"the backfill": own, "the process beside it": families - own}
        used |= {"Prefect's server": read_cpu(self.site.processes["server"].pid)}
        used |= {"(the provider)": read_cpu(self.provider.pid)}
        if self.postgres is not None:
            used |= {"(the database)": self.postgres.read_cpu()}
        return Counter({name: round(1000 * seconds) for name, seconds in used.items()})

    def note_usage(self, used: Mapping[str, int], done: int) -> float:
        """Notes what was used of the processor; the seconds a model, without the provider and the database."""
        for name, milliseconds in used.items():
            self.note(f"seconds of the processor a model: {name}", f"{milliseconds / done / 1000:.3f}")
        whole = sum(milliseconds for name, milliseconds in used.items() if name[0] != "(") / done / 1000
        self.note("the same without what is in brackets; models a second of it", f"{whole:.3f}; {1 / whole:.2f}")
        return whole


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


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_model_costs_the_same_with_one_two_and_four_backfills(tmp_path: Path) -> None:
    costs = {}
    with open_round(tmp_path, "PostgreSQL", bad=()) as bench:
        for number, count in enumerate(BACKFILLS_AT_ONCE):
            first = MODELS * number
            handles = [name_model(model) for model in range(first, first + MODELS)]
            costs[count] = run_side_by_side(bench, handles, count)
    print("\n".join(["", *(f"  {name:<64}{value:>12}" for name, value in bench.rows)]))

    assert max(costs.values()) <= 1.1 * min(costs.values())


def run_side_by_side(bench: Round, handles: Sequence[str], count: int) -> float:
    """Shares models among so many backfills; what a model costs once all are under way, in seconds.

    All together work on ``AT_ONCE`` at a time: the same work takes longer on cores that are busier.
    """
    before = len(bench.site.workspace.list_sets())
    processes = [bench.start(*handles[part::count], at_once=AT_ONCE // count) for part in range(count)]
    under_way = before + 2 * AT_ONCE
    wait_for_sets(bench, under_way, processes)
    began, used, first = time.monotonic(), bench.read_usage(*processes), len(bench.site.workspace.list_sets())
    # The last ones are no fair sample: fewer than usual are worked on at a time.
    wait_for_sets(bench, under_way + (before + len(handles) - under_way) * 2 // 3, processes)
    used, done = bench.read_usage(*processes) - used, len(bench.site.workspace.list_sets()) - first
    bench.note(f"{count} at once: models a minute", round(60 * done / (time.monotonic() - began)))
    whole = bench.note_usage(used, done)
    assert [0] * count == [process.wait() for process in processes]
    return whole


def wait_for_sets(bench: Round, count: int, processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    while len(bench.site.workspace.list_sets()) < count:
        assert {None} == {process.poll() for process in processes}
        time.sleep(0.25)


def run_and_kill(bench: Round) -> None:
    """Until half of the models have their set, and then ``kill -9``."""
    began = time.monotonic()
    process = bench.start()
    watcher = threading.Thread(target=bench.watch, args=(process,))
    watcher.start()
    first: float | None = None
    while (done := len(bench.site.workspace.list_sets())) < MODELS / 2:
        assert process.poll() is None
        if first is None and done >= AT_ONCE:
            first, first_done, used = time.monotonic(), done, bench.read_usage(process)
        time.sleep(0.25)
    now = time.monotonic()
    used = bench.read_usage(process) - used
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    watcher.join()
    assert first is not None
    bench.note("models a minute, imports and start included", round(60 * done / (now - began)))
    bench.note(f"models a minute, from the {AT_ONCE}th on", round(60 * (done - first_done) / (now - first)))
    bench.note_usage(used, done - first_done)
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
def open_round(folder: Path, database: str, bad: Sequence[int] = BAD) -> Iterator[Round]:
    """A round; where no model is bad there are ``MODELS`` for each of ``BACKFILLS_AT_ONCE``."""
    with ExitStack() as stack:
        provider = stack.enter_context(start_provider(SECONDS))
        count = MODELS if bad else MODELS * len(BACKFILLS_AT_ONCE)
        workspace = make_catalogue(folder / "work", None, count, bad, **provider.variables)
        workspace.variables["EXEMPLARS_EFFORT_FILE"] = str(ROOT / "data" / "effort.yaml")
        site = stack.enter_context(open_site(workspace))
        postgres = stack.enter_context(open_postgres()) if database == "PostgreSQL" else None
        if postgres is not None:
            url = f"postgresql+asyncpg://{USER}@127.0.0.1:{postgres.port}/postgres"
            workspace.variables["PREFECT_API_DATABASE_CONNECTION_URL"] = url
            # As docs/guides/operate/server has it.
            workspace.variables["PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE"] = "15"
        site.start_server()
        yield Round(site, provider, postgres)
