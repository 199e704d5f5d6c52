"""Old flow runs go, and nobody who asks over HTTP can tell: states, last operations, and one run for many requests."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fakes.long import choose
from fakes.stack import Stack
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.errors import OrchestratorError
from flows.retention.old_runs import PrunedRuns, prune_runs
from flows.run.labels import name_tag
from flows.run.newest_runs import PAGE

# They delete the runs of all tests before them.
pytestmark = pytest.mark.late

LATER = timedelta(hours=1)
FIRST, SECOND, THIRD = HANDLES = ("u22a8.first", "u22a8.second", "u22a8.third")


@pytest.fixture(scope="module")
def quiet(whole_stack: Stack) -> Iterator[Stack]:
    for handle in HANDLES:
        whole_stack.add_model(handle.partition(".")[2])
    whole_stack.site.ask("PATCH", "/work_pools/exemplars", is_paused=True)
    yield whole_stack
    whole_stack.site.end_runs()
    whole_stack.site.ask("PATCH", "/work_pools/exemplars", is_paused=False)


@pytest.fixture
def client(quiet: Stack) -> Iterator[SyncPrefectClient]:
    quiet.site.end_runs()
    for run_id in list_runs(quiet):
        quiet.site.ask("DELETE", f"/flow_runs/{run_id}")
    with temporary_settings({PREFECT_API_URL: quiet.site.url}), get_client(sync_client=True) as opened:
        yield opened


def list_runs(stack: Stack) -> dict[str, str]:
    found: dict[str, str] = {}
    while page := stack.site.ask("POST", "/flow_runs/filter", limit=200, offset=len(found), sort="ID_DESC"):
        found |= {run["id"]: run["state_type"] for run in page}
    return found


def request(stack: Stack, handle: str, count: int) -> tuple[list[str], list[str]]:
    """So many requests at one instant: the runs that they have made, and those that others were told of."""
    with ThreadPoolExecutor(count) as pool:
        path = f"/models/{handle}/samples/synthesize"
        answers = list(pool.map(lambda _: stack.author.post(path, json={}), range(count)))
    made = [answer.json()["run_id"] for answer in answers if answer.status_code == 202]
    return made, [answer.headers["X-Run-Id"] for answer in answers if answer.status_code == 409]


def ask_for(stack: Stack, handle: str) -> str:
    [run_id], _ = request(stack, handle, 1)
    stack.site.set_state(run_id, "COMPLETED")
    return run_id


def press(stack: Stack, handle: str, *states: str) -> str:
    """A run of the UI's form, which tags itself when it begins."""
    run_id = stack.site.start_run(handle=handle)
    stack.site.set_state(run_id, "RUNNING")
    stack.site.ask("PATCH", f"/flow_runs/{run_id}", tags=[name_tag(handle)])
    for state in states:
        stack.site.set_state(run_id, state)
    return run_id


def make_many(stack: Stack, handles: list[str], count: int) -> None:
    def make(handle: str) -> None:
        asked = {"tags": [name_tag(handle), "http"], "parameters": {"handle": handle}}
        make_finished(stack, "synthesize", idempotency_key=str(uuid4()), **asked)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, handles * count))


def make_finished(stack: Stack, flow: str, **fields: object) -> str:
    flow_id = stack.site.ask("POST", "/flows/", name=flow)["id"]
    return str(stack.site.ask("POST", "/flow_runs/", flow_id=flow_id, state={"type": "COMPLETED"}, **fields)["id"])


def look(stack: Stack) -> list[Any]:
    shown = [stack.author.get(f"/models/{handle}").json() for handle in HANDLES]
    return [(model["state"], model["last_operation"]) for model in shown]


def prune(client: SyncPrefectClient, age: timedelta = -LATER, dry_run: bool = False) -> tuple[PrunedRuns, list[str]]:
    lines: list[str] = []
    return prune_runs(client, datetime.now(UTC) - age, dry_run, lines.append), lines


def test_newest_of_each_model_and_what_is_live_stay(quiet: Stack, client: SyncPrefectClient) -> None:
    chain = [ask_for(quiet, FIRST) for _ in range(4)]
    first = ask_for(quiet, SECOND)
    pressed = [press(quiet, SECOND, "COMPLETED"), press(quiet, SECOND, "FAILED")]
    # Turned away, since another run held the lease: no operation on the model.
    turned_away = press(quiet, SECOND, "CANCELLED")
    ended, live = ask_for(quiet, THIRD), press(quiet, THIRD)
    of_no_model = {name: make_finished(quiet, name) for name in ("backfill", "prune", "somebody-elses")}
    before, runs = look(quiet), list_runs(quiet)
    young = prune(client, age=LATER)
    dry, said = prune(client, dry_run=True)
    untouched = list_runs(quiet)
    pruned, told = prune(client)

    assert ["draft", "failed", "busy"] == [state for state, _ in before]
    assert (PrunedRuns(), []) == young
    assert runs == untouched
    assert (dry, said) == (pruned, told)
    kept = {chain[-1], first, pressed[1], ended, live, of_no_model["somebody-elses"]}
    assert kept == set(list_runs(quiet))
    assert (7, 4) == (pruned.deleted, pruned.kept)
    for run_id in (*chain[:-1], pressed[0], turned_away):
        assert [True] == [line.split(" of ")[1].startswith("u22a8.") for line in told if run_id in line]
    assert 2 == sum(" of no model: " in line for line in told)
    assert before == look(quiet)
    assert (PrunedRuns(0, 4), []) == prune(client)


def test_requests_after_and_during_a_pruning_make_one_run(quiet: Stack, client: SyncPrefectClient) -> None:
    for _ in range(3):
        ask_for(quiet, FIRST)
    prune(client)
    made, named = request(quiet, FIRST, 8)
    assert (1, set(made)) == (len(made), set(named))
    assert 2 == len(list_runs(quiet))
    for _ in range(choose(1, 10)):
        quiet.site.end_runs()
        with ThreadPoolExecutor(1) as pool:
            pruning = pool.submit(prune, client)
            made, _ = request(quiet, FIRST, 8)
            pruning.result()

        assert made == [run_id for run_id, state in list_runs(quiet).items() if state == "SCHEDULED"]
        assert 1 == len(made)


def test_pages_are_walked_to_their_end_also_by_a_start_after_one_that_was_killed(
    quiet: Stack, client: SyncPrefectClient
) -> None:
    make_many(quiet, [f"acme.private-{number}" for number in range(5)], 2)
    make_many(quiet, [FIRST], PAGE + 5)
    before = look(quiet)
    dry, said = prune(client, dry_run=True)
    left = 20

    def tell(_: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune_runs(client, datetime.now(UTC) + LATER, False, tell)
    rest = len(list_runs(quiet))
    pruned, _ = prune(client)

    assert (5 + PAGE + 4, 6) == (dry.deleted, dry.kept)
    assert dry.deleted == len(set(said))
    assert 6 < rest < PAGE + 15
    assert (rest - 6, 6) == (pruned.deleted, pruned.kept)
    assert 6 == len(list_runs(quiet))
    assert before == look(quiet)


def test_server_that_is_away_is_an_error_that_says_how_far_it_came() -> None:
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}),
        get_client(sync_client=True) as client,
        pytest.raises(OrchestratorError, match=r"Until then 0 runs were deleted\. Start again"),
    ):
        prune(client)
