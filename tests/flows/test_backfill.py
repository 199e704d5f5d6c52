"""A backfill, run for real: one run a model in one process, isolated, bounded, gone on with, and stopped as a whole."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from fakes.catalogue import NAMESPACE, make_catalogue, name_model, write_model
from fakes.provider import Behaviour, Provider
from fakes.waiting import wait_until
from fakes.workspace import Workspace, read_manifest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelling

from engine.backfills.ledger import Ledger, read_ledger
from engine.errors import BackfillError, ExemplarsError
from engine.store.changes import Removal, remove_stored
from engine.store.index.rows import read_attached
from engine.store.layout import BACKFILLS, SAMPLES
from engine.store.store import list_sets
from flows.backfill import backfill
from flows.run.labels import STOPPED_AT_LIMIT, read_lease_labels
from flows.run.lease.holders import is_gone
from flows.run.worker import WORKER

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server", "heavy_here")]

COUNT = 3
PROGRAM = """
import asyncio, json, sys
from engine.system.worker_process import run_here
from flows.backfill import backfill
from flows.run.worker import WORKER
WORKER.set(run_here)
asyncio.run(backfill(**json.loads(sys.argv[1])))
"""


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as opened:
        yield opened


def make_small_catalogue(folder: Path, provider: Provider, count: int, bad: Sequence[int] = ()) -> Workspace:
    """The namespace, each model of which gets one exemplar for a pole."""
    workspace = make_catalogue(folder, provider, count, bad)
    workspace.write_effort(exemplars_per_pole=1)
    return workspace


def run_backfills(workspace: Workspace, count: int, **parameters: object) -> list[State[Any]]:
    """The states in which so many backfills at once end, of the namespace, if not told otherwise."""
    given: Any = {"namespace": NAMESPACE, "effort": "low", **parameters}

    async def run() -> list[State[Any]]:
        return list(await asyncio.gather(*(backfill(**given, return_state=True) for _ in range(count))))

    with pytest.MonkeyPatch.context() as patch:
        workspace.enter(patch)
        return asyncio.run(run())


def run_backfill(workspace: Workspace, **parameters: object) -> State[Any]:
    [state] = run_backfills(workspace, 1, **parameters)
    return state


def read_error(state: State[Any]) -> ExemplarsError:
    error = asyncio.run(state.aresult(raise_on_failure=False))
    assert isinstance(error, ExemplarsError)
    return error


def read_ledgers(workspace: Workspace) -> list[Ledger]:
    """The ledgers of all backfills, the oldest first."""
    files = sorted((workspace.samples / BACKFILLS).glob("*.json"), key=lambda path: path.stat().st_mtime)
    return [read_ledger(str(workspace.samples), path.stem) for path in files]


def list_runs(workspace: Workspace) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for folder in workspace.list_sets():
        manifest = read_manifest(folder)
        if manifest["status"] == "attached":
            found.setdefault(manifest["handle"], []).append(manifest["run_id"])
    return found


def list_children(client: SyncPrefectClient, state: State[Any]) -> list[FlowRun]:
    """The runs on the page of the backfill that ended in a state."""
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    parent = FlowRunFilterParentFlowRunId(any_=[run_id])
    return client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=parent))


def test_every_model_gets_its_set_by_a_run_of_its_own_so_many_at_a_time(
    tmp_path: Path, provider: Provider, client: SyncPrefectClient
) -> None:
    workspace = make_small_catalogue(tmp_path, provider, COUNT)
    # This once the heavy work has a process of its own, as it has where nobody says otherwise.
    WORKER.set(None)
    provider.behaviour = Behaviour(hold_after=0)

    def release() -> None:
        def is_asking(number: int) -> bool:
            return any(f"shed {number} " in prompt for prompt in [*provider.calls])

        wait_until(lambda: sum(map(is_asking, range(COUNT))) == 2, what="two models are at work")
        provider.behaviour = Behaviour()

    with ThreadPoolExecutor(1) as thread:
        released = thread.submit(release)
        state = run_backfill(workspace, models_at_once=2)
        released.result()
    children, made = list_children(client, state), list_runs(workspace)
    [ledger] = read_ledgers(workspace)
    handles = [name_model(number) for number in range(COUNT)]
    tasks = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[child.id for child in children]))
    its = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    page = {found.key or found.type: str(found.data) for found in client.read_artifacts(artifact_filter=its)}
    times = [(child.start_time, child.end_time) for child in children if child.start_time and child.end_time]
    at_once = [sum(begin <= start < end for begin, end in times) for start, _ in times]

    assert (True, {"attached": COUNT}) == (state.is_completed(), asyncio.run(state.aresult()))
    assert {child.parameters["handle"]: [str(child.id)] for child in children} == made
    assert handles == sorted(made) == [row.handle for row in ledger.rows]
    assert {"COMPLETED": COUNT} == Counter(child.state_type.value for child in children if child.state_type)
    assert {("attached", 2, 2)} == {(row.state, row.kept, row.wanted) for row in ledger.rows}
    assert {f"{handle} from_traits" for handle in handles} == {child.name for child in children}
    assert 3 * COUNT >= len(client.read_task_runs(task_run_filter=tasks))
    assert all(handle in page["verdict"] and run_id in page["verdict"] for handle, [run_id] in made.items())
    assert 100.0 == float(page["progress"])
    assert (COUNT, 2) == (len(times), max(at_once))


def test_bad_model_stops_no_other_and_a_second_start_does_only_what_is_left_or_forced(
    tmp_path: Path, provider: Provider
) -> None:
    workspace = make_small_catalogue(tmp_path, provider, COUNT, bad=(1,))
    good, bad, other = (name_model(number) for number in range(COUNT))
    failed = run_backfill(workspace)
    first, calls = list_runs(workspace), provider.calls.total()
    write_model(workspace.folder / "models", 1)
    completed, repeated = run_backfill(workspace), provider.repeated
    forced = run_backfill(workspace, namespace=None, handles=[good], force=True)
    before, after, _ = read_ledgers(workspace)

    assert {"attached": COUNT - 1, "failed": 1} == before.count()
    assert isinstance(read_error(failed), BackfillError)
    assert bad in str(read_error(failed))
    # Without words of Prefect's before it: alerts send it.
    assert str(read_error(failed)) == failed.message
    assert all("discover" in row.note and row.run_id for row in before.list_in("failed"))
    assert (True, True) == (completed.is_completed(), forced.is_completed())
    assert {"attached": 1, "skipped": COUNT - 1} == after.count()
    assert {good: 2, bad: 1, other: 1} == {handle: len(runs) for handle, runs in list_runs(workspace).items()}
    assert {runs[0] for runs in first.values()} == {row.run_id for row in after.list_in("skipped")}
    assert (0, True) == (repeated, provider.calls.total() > calls)


def test_only_lacking_adds_to_each_pole_what_it_lacks(tmp_path: Path, provider: Provider) -> None:
    workspace = make_small_catalogue(tmp_path, provider, 2)
    run_backfill(workspace)
    assert {"attached": 2} == read_ledgers(workspace)[-1].count()
    [stored] = list_sets(str(workspace.samples), name_model(0), "train")
    gone = int(pd.read_parquet(stored.file(SAMPLES))["id"][0])
    remove_stored(stored, Removal((gone,), datetime.now(UTC)))
    completed = run_backfill(workspace, only_lacking=True)
    filled = read_attached(list_sets(str(workspace.samples), name_model(0), "train"))

    assert completed.is_completed()
    assert {"attached": 1, "skipped": 1} == read_ledgers(workspace)[-1].count()
    assert [0.0, 1.0] == sorted(row.quality for row in filled)


def test_what_all_models_together_may_cost_is_never_passed(
    tmp_path: Path, provider: Provider, client: SyncPrefectClient
) -> None:
    # The limit is reached by two of them at the latest.
    workspace = make_catalogue(tmp_path, provider, COUNT, EXEMPLARS_SYNTH_PRICE="1000/1000")
    workspace.write_effort(max_cost_usd=1000.0)
    spent_a_call = (400 + 80) / 1000
    state = run_backfill(workspace, models_at_once=2, max_cost_usd=20 * spent_a_call)
    [ledger] = read_ledgers(workspace)

    stopped = {(child.state_name, child.state_type) for child in list_children(client, state)}

    assert "limit of $9.60 is reached" in str(read_error(state))
    assert (STOPPED_AT_LIMIT, StateType.CANCELLED, 3) == (state.name, state.type, read_error(state).exit_code)
    assert (
        {(STOPPED_AT_LIMIT, StateType.CANCELLED)}
        <= stopped
        <= {
            (STOPPED_AT_LIMIT, StateType.CANCELLED),
            ("Completed", StateType.COMPLETED),
        }
    )
    assert not ledger.list_in("failed")
    assert "limit $9.60. " in str(read_error(state))
    assert 0 < provider.calls.total() * spent_a_call <= 20 * spent_a_call
    assert ledger.list_in("waits")
    assert run_backfill(workspace, max_cost_usd=1000.0).is_completed()
    assert 0 == provider.repeated


def test_backfill_ends_where_the_next_models_would_fail_as_well(tmp_path: Path, provider: Provider) -> None:
    workspace = make_small_catalogue(tmp_path, provider, 4)
    provider.behaviour = Behaviour(status=401)
    state = run_backfill(workspace, models_at_once=1)
    [ledger] = read_ledgers(workspace)

    assert {"failed": 3, "waits": 1} == ledger.count()
    assert "EXEMPLARS_SYNTH_API_KEY" in str(read_error(state))


def test_two_backfills_at_once_make_no_model_twice(tmp_path: Path, provider: Provider) -> None:
    workspace = make_small_catalogue(tmp_path, provider, COUNT)
    run_backfills(workspace, 2, models_at_once=2)

    assert dict.fromkeys(map(name_model, range(COUNT)), 1) == {
        handle: len(runs) for handle, runs in list_runs(workspace).items()
    }


def test_backfill_that_is_killed_is_known_to_be_and_gone_on_with(
    tmp_path: Path, provider: Provider, prefect_server: str, client: SyncPrefectClient
) -> None:
    provider.behaviour = Behaviour(hold_after=10)
    workspace = make_catalogue(tmp_path, provider, 2, EXEMPLARS_CONCURRENCY="4")
    asked = json.dumps({"namespace": NAMESPACE, "effort": "low", "models_at_once": 1})
    started = workspace.start(asked, program=(sys.executable, "-c", PROGRAM), PREFECT_API_URL=prefect_server)
    wait_until(lambda: provider.in_flight >= 4, process=started)
    os.killpg(started.pid, signal.SIGKILL)
    started.communicate()
    in_flight = provider.in_flight
    [file] = (workspace.samples / BACKFILLS).glob("*.json")
    mark = read_lease_labels(client.read_flow_run(UUID(file.stem)).labels)
    provider.behaviour = Behaviour()
    state = run_backfill(workspace)

    assert mark is not None
    assert is_gone(mark.process)
    assert "Crashed" == client.read_flow_run(UUID(file.stem)).state_name
    assert state.is_completed()
    assert [1, 1] == [len(runs) for runs in list_runs(workspace).values()]
    assert 0 < provider.repeated <= in_flight


def test_cancel_stops_all_of_it_and_leaves_no_model_busy(
    tmp_path: Path, provider: Provider, client: SyncPrefectClient
) -> None:
    provider.behaviour = Behaviour(hold_after=5)
    workspace = make_small_catalogue(tmp_path, provider, 2)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_backfill, workspace, models_at_once=2)
        wait_until(lambda: provider.in_flight or running.done(), what="models are asked for")
        [file] = (workspace.samples / BACKFILLS).glob("*.json")
        client.set_flow_run_state(UUID(file.stem), Cancelling())
        state = running.result()
    calls = provider.calls.total()
    provider.behaviour = Behaviour()

    assert state.is_cancelled()
    children = {child.state_type.value for child in list_children(client, state) if child.state_type}
    assert {"COMPLETED", "CANCELLED"} >= children
    assert read_ledger(str(workspace.samples), file.stem).list_in("cancelled")
    assert run_backfill(workspace).is_completed()
    assert [1, 1] == [len(runs) for runs in list_runs(workspace).values()]
    assert provider.calls.total() > calls
