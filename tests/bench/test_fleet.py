"""Hundreds of models on four machines that share no disk; one is lost on the way with its folder, another comes.

``MODELS=300`` models of one trait at the committed effort ``low``, five bad ones among them, in parts of ``PART=25``;
PostgreSQL, an object store and a provider that takes 200 ms. All of it shares one computer's cores.
"""

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fakes.catalogue import NAMESPACE, make_catalogue, name_model
from fakes.fleet import SAMPLES_URI, Fleet, open_fleet
from fakes.postgres import USER, open_postgres
from fakes.s3 import serve_s3
from fakes.slow_provider import start_provider
from fakes.workspace import ROOT

from engine.store.backfill_ledger import Ledger, read_ledger
from engine.store.store import list_sets

MODELS = int(os.environ.get("MODELS", "300"))
PART = int(os.environ.get("PART", "25"))
AT_ONCE = int(os.environ.get("AT_ONCE", "4"))
BAD = tuple(number for number in (7, 70, 107, 170, 207) if number < MODELS)
SECONDS = 0.2
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_hundreds_of_models_on_machines_of_which_one_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_s3() as s3, start_provider(SECONDS) as provider, open_postgres(tmp_path / "postgres") as postgres:
        s3.enter(monkeypatch)
        workspace = make_catalogue(tmp_path / "work", None, MODELS, BAD, **provider.variables)
        workspace.variables["EXEMPLARS_EFFORT_FILE"] = str(ROOT / "data" / "effort.yaml")
        workspace.variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = (
            f"postgresql+asyncpg://{USER}@127.0.0.1:{postgres.port}/postgres"
        )
        with open_fleet(workspace, s3, postgres) as fleet:
            machines = ("first", "second", "third", "fourth")
            for name in machines:
                fleet.start_machine(name)
            began = time.monotonic()
            run_id = fleet.start_backfill(
                namespace=NAMESPACE, effort="low", part_size=PART, models_at_once=AT_ONCE, max_cost_usd=100.0
            )
            wait_for_share(fleet, run_id, 0.4)
            working = [run["id"] for run in list_parts(fleet, run_id) if run["state_type"] == "RUNNING"]
            lost = next(name for name in machines if any(fleet.holds(name, part_id) for part_id in working))
            lost_at = time.monotonic() - began
            fleet.lose_machine(lost)
            fleet.start_machine("fifth")
            ledger = wait_for_share(fleet, run_id, 1.0)
            seconds, asked = time.monotonic() - began, provider.read()
            state, message = fleet.site.read_state(run_id)
            sets = Counter(len(list_sets(SAMPLES_URI, name_model(number), "train")) for number in range(MODELS))
            for name, value in (
                ("machine lost after, s", round(lost_at)),
                ("ended after, s", round(seconds)),
                ("models by what came of them", dict(ledger.count())),
                ("models by attached sets", dict(sets)),
                ("calls, and those repeated", f"{asked.calls}, {asked.repeated}"),
                ("parts", dict(Counter(run["state_type"] for run in list_parts(fleet, run_id)))),
                ("state", f"{state}: {message.partition('. ')[0]}"),
            ):
                print(f"  {name:<40}{value}")

            assert {1: MODELS - len(BAD), 0: len(BAD)} == dict(sets)
            assert {"attached": MODELS - len(BAD), "failed": len(BAD)} == dict(ledger.count())


def wait_for_share(fleet: Fleet, run_id: str, share: float) -> Ledger:
    """The ledger, once so large a part of the models has its set, or, with all of them, once the backfill has ended."""
    while True:
        ledger = read_ledger(SAMPLES_URI, run_id)
        ended = fleet.site.read_state(run_id)[0] in ENDED
        if ended or (share < 1.0 and ledger.count().get("attached", 0) >= share * MODELS):
            assert ended == (share == 1.0)
            return ledger
        time.sleep(1.0)


def list_parts(fleet: Fleet, run_id: str) -> list[dict[str, Any]]:
    """The runs of the parts."""
    asked = {"parent_flow_run_id": {"any_": [run_id]}, "tags": {"all_": ["part"]}}
    found: list[dict[str, Any]] = fleet.site.ask("POST", "/flow_runs/filter", flow_runs=asked)
    return found
