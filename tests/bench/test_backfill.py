"""Hundreds of models in one backfill, on PostgreSQL and on SQLite: models a minute, memory, what Prefect has to bear.

``MODELS=300`` models of one trait at the committed effort ``low``, a provider that takes 200 ms, five bad models among
them; killed at half and started again. Provider, Prefect's server, its database and the backfill share the machine.
What a model costs of the processor is counted from the ``AT_ONCE``-th one on, so without imports and the start.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bench.process_tree import list_below, read_cpu_seconds, sample_memory
from chaos.faults import Script
from chaos.provider import ChaosProvider, serve_chaos
from fakes.catalogue import NAMESPACE, make_catalogue
from fakes.postgres import USER, Postgres, open_postgres
from fakes.site import Site, open_site
from fakes.workspace import ROOT, read_manifest

from engine.store.backfill_ledger import BACKFILLS, parse_ledger

MODELS = int(os.environ.get("MODELS", "300"))
AT_ONCE = int(os.environ.get("AT_ONCE", "8"))
BAD = tuple(number for number in (7, 70, 107, 170, 207) if number < MODELS)
PROGRAM = "import sys; from flows.cli.app import main; sys.exit(main(sys.argv[1:]))"


@dataclass
class Round:
    """A Prefect server on its database, a catalogue, and the provider; ``rows`` is what was measured there."""

    site: Site
    provider: ChaosProvider
    postgres: Postgres | None = None
    rows: list[tuple[str, str]] = field(default_factory=list)

    def note(self, name: str, value: object) -> None:
        self.rows.append((name, str(value)))

    def start(self) -> "subprocess.Popen[bytes]":
        """The command, in a process group of its own."""
        asked = ["backfill", "--namespace", NAMESPACE, "--effort", "low", "--models-at-once", str(AT_ONCE)]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *asked],
            cwd=ROOT,
            env=self.site.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def count_sets(self) -> Counter[str]:
        manifests = [read_manifest(folder) for folder in self.site.workspace.list_sets()]
        return Counter(manifest["handle"] for manifest in manifests if manifest["status"] == "attached")

    def count_ended(self) -> Counter[str]:
        """What became of the models in the last backfill."""
        files = (self.site.workspace.samples / BACKFILLS).glob("*.json")
        return Counter(parse_ledger(max(files, key=lambda path: path.stat().st_mtime).read_bytes()).count())

    def count_calls(self) -> tuple[int, int]:
        """The calls, and those of a prompt that had been asked before."""
        entries = self.provider.read()
        return len(entries), sum(entry.attempt > 1 for entry in entries)

    def read_usage(self, process: "subprocess.Popen[bytes]") -> Counter[str]:
        """Milliseconds of the processor that each part has used by now."""
        used = {
            "the backfill": read_cpu_seconds(process.pid),
            "the process beside it": sum(map(read_cpu_seconds, list_below(process.pid))),
            "Prefect's server": read_cpu_seconds(self.site.processes["server"].pid),
            "(the provider)": read_cpu_seconds(self.provider.process.pid),
            "(the database)": self.postgres.read_cpu() if self.postgres else 0.0,
        }
        return Counter({name: round(1000 * seconds) for name, seconds in used.items()})


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
    began = time.monotonic()
    process = bench.start()
    first: float | None = None
    while (done := len(bench.site.workspace.list_sets())) < MODELS / 2:
        assert process.poll() is None
        if first is None and done >= AT_ONCE:
            first, first_done, before = time.monotonic(), done, bench.read_usage(process)
        time.sleep(0.25)
    now = time.monotonic()
    used = bench.read_usage(process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert first is not None
    bench.note("models a minute, imports and start included", round(60 * done / (now - began)))
    bench.note(f"models a minute, from the {AT_ONCE}th on", round(60 * (done - first_done) / (now - first)))
    seconds = {name: (used[name] - before[name]) / (done - first_done) / 1000 for name in used}
    for name, taken in seconds.items():
        bench.note(f"seconds of the processor a model: {name}", f"{taken:.3f}")
    whole = sum(taken for name, taken in seconds.items() if not name.startswith("("))
    bench.note("the same without what is in brackets", f"{whole:.3f}")
    bench.note("models attached when it was killed", done)


def run_again(bench: Round) -> None:
    """The second start, to its end."""
    began, repeated = time.monotonic(), bench.count_calls()[1]
    peak_mb, over = [0], threading.Event()
    process = bench.start()
    sampling = threading.Thread(
        target=sample_memory, args=(peak_mb, over, lambda: [process.pid, *list_below(process.pid)])
    )
    sampling.start()
    process.wait()
    over.set()
    sampling.join()
    counts, seconds = bench.count_ended(), time.monotonic() - began
    ended = f"{counts['attached']}, {counts['skipped']}, {counts['failed']}"
    calls, again = bench.count_calls()
    bench.note("second start: attached, passed over, failed", ended)
    bench.note("second start: models a minute", round(60 * counts["attached"] / seconds))
    bench.note("calls, and those repeated after the kill", f"{calls}, {again - repeated}")
    bench.note("peak memory of the backfill, MB", peak_mb[0])
    runs, tasks = (bench.site.ask("POST", f"/{what}/count") for what in ("flow_runs", "task_runs"))
    bench.note("Prefect: flow runs, task runs", f"{runs}, {tasks}")

    assert len(BAD) == counts["failed"]


@contextmanager
def open_round(folder: Path, database: str) -> Iterator[Round]:
    with ExitStack() as stack:
        provider = stack.enter_context(serve_chaos(folder / "provider", Script(latency_seconds=0.2)))
        workspace = make_catalogue(folder / "work", None, MODELS, BAD, **provider.variables)
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
