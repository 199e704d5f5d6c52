"""Hundreds of models in one backfill, on PostgreSQL and on SQLite: models a minute, memory, what Prefect has to bear.

``MODELS=300`` models of one trait at the committed effort ``low``, a provider that takes 200 ms, five bad models among
them; killed at half and started again. Provider, Prefect's server, its database and the backfill share the machine.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from bench.process_tree import measure_command
from chaos.faults import Script
from chaos.provider import serve_chaos
from fakes.catalogue import NAMESPACE, make_catalogue
from fakes.postgres import share_databases
from fakes.site import DATABASE, open_site
from fakes.workspace import ROOT, read_manifest

from engine.backfills.ledger import read_ledger
from engine.store.layout import BACKFILLS

MODELS = int(os.environ.get("MODELS", "300"))
AT_ONCE = os.environ.get("AT_ONCE", "8")
BAD = tuple(number for number in (7, 70, 107, 170, 207) if number < MODELS)
# That some models fail is no failure of the bench.
PROGRAM = "import sys; from flows.cli.app import main; main(sys.argv[1:])"
COMMAND = [sys.executable, "-c", PROGRAM, "backfill", "--namespace", NAMESPACE, "--effort", "low"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", ["PostgreSQL", "SQLite"])
def test_hundreds_of_models_with_bad_ones_killed_at_half(tmp_path: Path, database: str) -> None:
    with ExitStack() as stack:
        provider = stack.enter_context(serve_chaos(Script(latency_seconds=0.2)))
        workspace = make_catalogue(tmp_path / "work", provider, MODELS, BAD)
        workspace.variables["EXEMPLARS_EFFORT_FILE"] = str(ROOT / "data" / "effort.yaml")
        if database == "PostgreSQL":
            workspace.variables[DATABASE] = share_databases().make_database("+asyncpg")
            # As docs/guides/operate/server has it.
            workspace.variables["PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE"] = "15"
        site = stack.enter_context(open_site(workspace))
        site.start_server()
        command, begun = [*COMMAND, "--models-at-once", AT_ONCE], time.monotonic()
        killed = subprocess.Popen(
            command, cwd=ROOT, env=site.variables, stdout=subprocess.DEVNULL, start_new_session=True
        )
        while (done := len(workspace.list_sets())) < MODELS / 2:
            assert killed.poll() is None
            time.sleep(0.25)
        first = 60 * done / (time.monotonic() - begun)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
        calls = len(provider.entries)
        second = measure_command(command, site.variables)
        ledgers = (workspace.samples / BACKFILLS).glob("*.json")
        latest = max(ledgers, key=lambda path: path.stat().st_mtime)
        ended = Counter(read_ledger(str(workspace.samples), latest.stem).count())
        again = sum(entry.attempt > 1 for entry in provider.entries[calls:])
        runs, tasks = (site.ask("POST", f"/{what}/count") for what in ("flow_runs", "task_runs"))
    manifests = [read_manifest(folder) for folder in workspace.list_sets()]
    print(f"\n{database}: {first:.0f} models a minute until it was killed, {done} attached; then {dict(ended)},")
    print(f"{60 * ended['attached'] / second.seconds:.0f} a minute, {second.cpu_seconds:.0f} CPU-s, ", end="")
    print(f"peak {second.peak_mb:,} MB; {len(provider.entries)} calls, {again} repeated after the kill; ", end="")
    print(f"Prefect: {runs} flow runs, {tasks} task runs")

    assert len(BAD) == ended["failed"]
    assert MODELS - len(BAD) == len({manifest["handle"] for manifest in manifests}) == len(manifests)
