"""Old flow runs go, and nobody at the door can tell: states, last operations, and one run for many requests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fakes.door import Served as Surface
from fakes.door import open_served as open_surface
from fakes.surface import BARE, PRIVATE, SEEDED
from fakes.workspace import HANDLE, ROOT
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.errors import OrchestratorError
from flows.retention.old_runs import PrunedRuns, prune_runs
from flows.runs.labels import name_tag
from flows.runs.newest_runs import PAGE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LATER = timedelta(hours=1)
# What anybody may see of the runs.
SEEN = (HANDLE, SEEDED, BARE)


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surface]:
    with open_surface(tmp_path_factory.mktemp("old-runs") / "site") as opened:
        yield opened


@pytest.fixture
def client(surface: Surface) -> Iterator[SyncPrefectClient]:
    """A client of a server that has no runs."""
    surface.end_runs()
    surface.site.forget_runs()
    with temporary_settings({PREFECT_API_URL: surface.site.url}), get_client(sync_client=True) as opened:
        yield opened


def list_runs(surface: Surface) -> dict[str, str]:
    """The ids of all runs, and the states that they are in."""
    found: dict[str, str] = {}
    while page := surface.site.ask("POST", "/flow_runs/filter", limit=200, offset=len(found), sort="ID_DESC"):
        found |= {run["id"]: run["state_type"] for run in page}
    return found


def ask_for(surface: Surface, handle: str, ends_as: str | None, message: str | None = None) -> str:
    """A run that was asked for over HTTP and has ended so, or is live."""
    run_id = str(surface.synthesize(handle).json()["run_id"])
    if ends_as:
        surface.set_state(run_id, ends_as, message)
    return run_id


def press(surface: Surface, handle: str, ends_as: str | None) -> str:
    """A run of the UI's form: it tags itself when it begins."""
    run_id = surface.site.start_run(handle=handle)
    surface.set_state(run_id, "RUNNING")
    surface.site.ask("PATCH", f"/flow_runs/{run_id}", tags=[name_tag(handle)])
    if ends_as:
        surface.set_state(run_id, ends_as, "It was too much.")
    return run_id


def look(surface: Surface) -> list[Any]:
    """What the door shows of each model."""
    shown = [surface.author.get(f"/models/{handle}").json() for handle in SEEN]
    return [(model["state"], model["last_operation"]) for model in shown]


def prune(client: SyncPrefectClient, age: timedelta = -LATER, dry_run: bool = False) -> tuple[PrunedRuns, list[str]]:
    lines: list[str] = []
    return prune_runs(client, datetime.now(UTC) - age, dry_run, lines.append), lines


def test_newest_of_each_model_and_what_is_live_stay(surface: Surface, client: SyncPrefectClient) -> None:
    chain = [ask_for(surface, HANDLE, "COMPLETED") for _ in range(4)]
    first = ask_for(surface, SEEDED, "COMPLETED")
    pressed = [press(surface, SEEDED, "COMPLETED"), press(surface, SEEDED, "FAILED")]
    ended, live = ask_for(surface, BARE, "COMPLETED"), press(surface, BARE, None)
    before, runs = look(surface), list_runs(surface)
    dry, said = prune(client, dry_run=True)
    untouched = list_runs(surface)
    pruned, told = prune(client)

    assert ["draft", "failed", "busy"] == [state for state, _ in before]
    assert runs == untouched
    assert (dry, said) == (pruned, told)
    assert {*chain[:-1], pressed[0]} == runs.keys() - list_runs(surface).keys()
    assert {chain[-1], first, pressed[1], ended, live} == set(list_runs(surface))
    assert (4, 4) == (pruned.deleted, pruned.kept)
    assert [True] * 4 == [any(run_id in line for line in told) for run_id in (*chain[:-1], pressed[0])]
    assert before == look(surface)
    assert (PrunedRuns(0, 4), []) == prune(client)


def test_runs_that_are_young_stay(surface: Surface, client: SyncPrefectClient) -> None:
    for _ in range(3):
        ask_for(surface, HANDLE, "COMPLETED")

    assert (PrunedRuns(), []) == prune(client, age=LATER)
    assert 3 == len(list_runs(surface))


def test_cancelled_run_that_stands_for_nothing_goes_and_the_failure_behind_it_stays(
    surface: Surface, client: SyncPrefectClient
) -> None:
    failed = press(surface, HANDLE, "FAILED")
    # Turned away, since another run held the lease: no operation on the model.
    turned_away = press(surface, HANDLE, "CANCELLED")
    before = look(surface)
    prune(client)

    assert "failed" == before[0][0]
    assert before == look(surface)
    assert ({failed}, True) == (set(list_runs(surface)), turned_away not in list_runs(surface))


def test_many_requests_make_one_run_after_the_chain_was_cut(surface: Surface, client: SyncPrefectClient) -> None:
    for _ in range(3):
        ask_for(surface, HANDLE, "COMPLETED")
    prune(client)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: surface.synthesize(HANDLE), range(20)))
    made = {answer.json()["run_id"] for answer in answers if answer.status_code == 202}
    named = {answer.headers["X-Run-Id"] for answer in answers if answer.status_code == 409}

    assert ([202] + [409] * 19, made) == (sorted(answer.status_code for answer in answers), named)
    assert 2 == len(list_runs(surface))


def test_requests_during_a_pruning_make_one_run(surface: Surface, client: SyncPrefectClient) -> None:
    for _ in range(3):
        ask_for(surface, HANDLE, "COMPLETED")
        with ThreadPoolExecutor(9) as pool:
            pruning = pool.submit(prune, client)
            answers = list(pool.map(lambda _: surface.synthesize(HANDLE), range(8)))
            pruning.result()
        live = [run_id for run_id, state in list_runs(surface).items() if state == "SCHEDULED"]

        assert 1 == len(live) == [answer.status_code for answer in answers].count(202)
        surface.end_runs()


def test_pages_are_walked_to_their_end(surface: Surface, client: SyncPrefectClient) -> None:
    handles = [f"{PRIVATE}-{number}" for number in range(5)]
    make_many(surface, handles, 2)
    make_many(surface, [HANDLE], PAGE + 5)
    dry, said = prune(client, dry_run=True)
    pruned, _ = prune(client)

    assert 10 + PAGE + 5 == dry.deleted + dry.kept
    assert (dry.deleted, dry.kept) == (pruned.deleted, pruned.kept) == (5 + PAGE + 4, 6)
    assert dry.deleted == len(set(said))
    assert 6 == len(list_runs(surface))


def make_many(surface: Surface, handles: list[str], count: int) -> None:
    """So many finished runs of each model."""
    flow = surface.site.ask("POST", "/flows/", name="synthesize")["id"]

    # One after the other: of writers at once SQLite sends all but one away, and they come again for longer than that.
    for number in range(count * len(handles)):
        handle = handles[number % len(handles)]
        surface.site.ask(
            "POST",
            "/flow_runs/",
            flow_id=flow,
            tags=[name_tag(handle), "http"],
            parameters={"handle": handle},
            idempotency_key=str(uuid4()),
            state={"type": "COMPLETED"},
        )


def test_killed_in_the_middle_the_second_start_goes_on(surface: Surface, client: SyncPrefectClient) -> None:
    make_many(surface, [HANDLE, SEEDED], 40)
    before = look(surface)
    code = (
        "import os, signal, sys\nfrom datetime import UTC, datetime, timedelta\n"
        "from prefect.client.orchestration import get_client\nfrom flows.retention.old_runs import prune_runs\n"
        "left = [20]\ndef tell(line):\n    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with get_client(sync_client=True) as client:\n"
        "    prune_runs(client, datetime.now(UTC) + timedelta(hours=1), False, tell)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **surface.site.variables}, check=False
    )
    left = len(list_runs(surface))
    pruned, _ = prune(client)

    assert -signal.SIGKILL == killed.returncode
    assert 2 < left < 80
    assert (left - 2, 2) == (pruned.deleted, pruned.kept)
    assert before == look(surface)


def test_runs_of_backfills_and_of_pruning_go_too(surface: Surface, client: SyncPrefectClient) -> None:
    for name in ("backfill", "prune", "somebody-elses"):
        flow = surface.site.ask("POST", "/flows/", name=name)["id"]
        surface.site.ask("POST", "/flow_runs/", flow_id=flow, state={"type": "COMPLETED"})
    pruned, lines = prune(client)

    assert (2, ["no model", "no model"]) == (pruned.deleted, [line.split(" of ")[1].split(":")[0] for line in lines])
    assert 1 == len(list_runs(surface))


def test_server_that_is_away_is_an_error_that_says_how_far_it_came() -> None:
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}),
        get_client(sync_client=True) as client,
        pytest.raises(OrchestratorError, match=r"Until then 0 runs were deleted\. Start again"),
    ):
        prune(client)
