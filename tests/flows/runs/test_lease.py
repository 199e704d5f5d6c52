"""The lease: however many runs there are of a model, one works on it, and a dead holder keeps nobody out."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fakes.provider import Behaviour, Provider
from fakes.workspace import HANDLE, PROGRAM, Workspace, find_gone_process, read_manifest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort, CancelledRun
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Running

from engine.errors import ModelBusyError, RunInterruptedError
from flows.runs.cancellation import CancellationWatcher
from flows.runs.labels import LeaseLabels, name_tag, read_lease_labels
from flows.runs.lease import RENEW_SECONDS, Lease
from flows.runs.lease_holders import describe_process, is_gone, name_process
from flows.runs.slot import Slot, list_slots

LOGGER = logging.getLogger(__name__)
# The first process of every system: it lives, and is not this one.
LIVING = f"{name_process().rsplit('/', 2)[0]}/1/{Path('/proc/1/stat').read_text().rpartition(')')[2].split()[19]}"


@flow(name="leasing")
def leasing() -> None:
    """A flow whose runs hold leases in these tests."""


@pytest.fixture
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as opened:
        yield opened


@pytest.fixture
def handle() -> str:
    """A model of which no other test has runs."""
    return f"tests.m{uuid4().hex[:12]}"


Enter = Callable[..., Lease]


@pytest.fixture
def begin_run(client: SyncPrefectClient) -> Callable[[], UUID]:
    """A run that is RUNNING, as of a process that has begun it."""
    return lambda: client.create_flow_run(leasing, state=Running()).id


@pytest.fixture
def enter(client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID]) -> Enter:
    """The lease of the model for a run, new where none is given, once it is acquired."""

    def acquire(run_id: UUID | None = None, patience_seconds: float = 1.5) -> Lease:
        lease = Lease(client, handle, run_id or begin_run(), LOGGER, patience_seconds)
        try:
            lease.acquire([])
        except ModelBusyError:
            lease.release()
            raise
        return lease

    return acquire


def mark_run(client: SyncPrefectClient, run_id: UUID, handle: str, process: str, lease_id: str) -> None:
    """Marks a run as a holder, as its own process would."""
    mark = LeaseLabels(lease_id, Completed().timestamp, process)
    client.update_flow_run(run_id, tags=[name_tag(handle)])
    client.update_flow_run_labels(run_id, dict(mark.to_labels()))


def read_run(client: SyncPrefectClient, run_id: UUID) -> FlowRun:
    return client.read_flow_run(run_id)


def test_holder_marks_its_run_and_unmarks_it(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    run_id = begin_run()
    lease = enter(run_id)
    held = read_lease_labels(read_run(client, run_id).labels)
    lease.release()
    after = read_lease_labels(read_run(client, run_id).labels)

    assert held is not None
    assert after == held.released()
    assert (name_process(), True) == (held.process, bool(held.lease_id))
    assert [name_tag(handle)] == read_run(client, run_id).tags


def test_second_run_is_told_who_holds_it(
    client: SyncPrefectClient, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    first, second = begin_run(), begin_run()
    lease = enter(first)
    with pytest.raises(ModelBusyError, match=str(first)) as caught:
        enter(second)
    lease.release()

    assert str(first) == caught.value.run_id
    assert read_lease_labels(read_run(client, second).labels) is None
    enter(second).release()


def test_slot_of_a_process_that_is_gone_is_taken_over(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    dead = begin_run()
    enter(dead)
    lease_id = read_lease_labels(read_run(client, dead).labels)
    assert lease_id is not None
    mark_run(client, dead, handle, find_gone_process(), lease_id.lease_id)
    lease = enter()
    state = read_run(client, dead).state
    lease.release()

    assert state is not None
    assert "CRASHED" == state.type.value
    assert "Its process is gone" in str(state.message)


def test_lease_of_a_run_that_prefect_calls_crashed_is_taken_over(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    dead = begin_run()
    enter(dead)
    mark = read_lease_labels(read_run(client, dead).labels)
    assert mark is not None
    mark_run(client, dead, handle, find_gone_process(), mark.lease_id)
    client.set_flow_run_state(dead, Crashed(message="Process exited with status -9"), force=True)
    enter().release()
    state = read_run(client, dead).state

    assert state is not None
    assert "Process exited with status -9" == state.message


def test_labels_that_are_no_mark_are_none(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    odd = begin_run()
    client.update_flow_run(odd, tags=[name_tag(handle)])
    client.update_flow_run_labels(odd, {"exemplars.leased_at": "yesterday", "exemplars.lease": "x"})
    enter().release()

    assert read_lease_labels({"exemplars.leased_at": 7}) is None
    assert read_lease_labels({}) is None


def test_run_takes_over_from_its_own_process_that_is_gone(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    retried = begin_run()
    enter(retried)
    before = read_lease_labels(read_run(client, retried).labels)
    assert before is not None
    mark_run(client, retried, handle, find_gone_process(), before.lease_id)
    enter(retried).release()

    assert "RUNNING" == read_run(client, retried).state_type.value  # type: ignore[union-attr]


@pytest.mark.parametrize("waits", [False, True], ids=["synthesis", "review"])
@pytest.mark.parametrize("process", [LIVING, "elsewhere/1/1"], ids=["here", "elsewhere"])
def test_run_that_is_begun_twice_is_left_to_its_first_start_and_names_no_other(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter, process: str, waits: bool
) -> None:
    run_id = begin_run()
    first = enter(run_id)
    mark = read_lease_labels(read_run(client, run_id).labels)
    assert mark is not None
    mark_run(client, run_id, handle, process, mark.lease_id)
    second = Lease(client, handle, run_id, LOGGER, 1.5, waits=waits)
    with pytest.raises(Abort, match=r"begun twice, and process 1 on .* was first") as caught:
        second.acquire([])
    second.release()
    after = read_run(client, run_id)
    first.release()

    assert str(run_id) not in str(caught.value)
    assert ("RUNNING", mark.lease_id) == (after.state_type.value, after.labels["exemplars.lease"])  # type: ignore[union-attr]


def test_holder_on_another_host_is_waited_for_and_named(
    client: SyncPrefectClient,
    handle: str,
    begin_run: Callable[[], UUID],
    enter: Enter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = begin_run()
    lease = enter(other)
    mark = read_lease_labels(read_run(client, other).labels)
    assert mark is not None
    mark_run(client, other, handle, "elsewhere/1/1", mark.lease_id)
    with caplog.at_level(logging.INFO), pytest.raises(ModelBusyError, match=f"{other}.*elsewhere"):
        enter()
    lease.release()

    assert "Waiting up to" in caplog.text


async def test_lease_that_ran_out_on_another_host_is_no_bar_for_ever(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    other = begin_run()
    mark_run(client, other, handle, "elsewhere/1/1", str(uuid4()))
    lease = await asyncio.to_thread(enter)
    await lease.confirm()
    lease.release()

    assert "RUNNING" == read_run(client, other).state_type.value  # type: ignore[union-attr]


def test_slot_that_nobody_holds_is_freed(client: SyncPrefectClient, handle: str, enter: Enter) -> None:
    client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name_tag(handle), limit=1, active_slots=1))
    enter().release()

    assert 0 == client.read_global_concurrency_limit_by_name(name_tag(handle)).active_slots


def test_wait_that_is_given_up_frees_nobodys_slot(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID]
) -> None:
    client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name_tag(handle), limit=1, active_slots=1))
    lease = Lease(client, handle, begin_run(), LOGGER, patience_seconds=0)
    lease.give_up()
    lease.acquire([])
    lease.release()

    assert 1 == client.read_global_concurrency_limit_by_name(name_tag(handle)).active_slots


async def test_slot_that_came_free_too_early_lets_no_second_run_in(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    first = begin_run()
    lease = await asyncio.to_thread(enter, first)
    mark = read_lease_labels(read_run(client, first).labels)
    assert mark is not None
    client.release_concurrency_slots_with_lease(UUID(mark.lease_id))
    with pytest.raises(ModelBusyError, match=str(first)):
        await asyncio.to_thread(enter)

    await lease.confirm()
    lease.release()


async def test_to_confirm_asks_prefect_twice(client: SyncPrefectClient, enter: Enter) -> None:
    lease = await asyncio.to_thread(enter)
    asked: list[str] = []
    client._client.event_hooks = {"request": [lambda request: asked.append(request.url.path.rpartition("/")[2])]}
    await lease.confirm()
    client._client.event_hooks = {}
    lease.release()

    assert ["renew", "filter"] == asked


def test_slot_that_is_known_to_be_missing_is_made_before_it_is_asked_for(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID]
) -> None:
    known, asked = list_slots(client), list[str]()
    client._client.event_hooks = {"request": [lambda request: asked.append(request.url.path.rpartition("/")[2])]}
    first, second = (
        Slot(client, name_tag(handle), begin_run(), known),
        Slot(client, name_tag(handle), begin_run(), known),
    )
    taken = first.take(), second.take()
    client._client.event_hooks = {}
    first.release()

    assert (True, False) == taken
    assert ["", "increment-with-lease"] == list(dict.fromkeys(asked))
    assert name_tag(handle) in known & list_slots(client)


async def test_lease_that_a_server_forgot_is_taken_again(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    run_id = begin_run()
    lease = await asyncio.to_thread(enter, run_id)
    mark = read_lease_labels(read_run(client, run_id).labels)
    assert mark is not None
    client.release_concurrency_slots_with_lease(UUID(mark.lease_id))
    client._client.patch(f"/v2/concurrency_limits/{name_tag(handle)}", json={"active_slots": 1})
    await lease.confirm()
    after = read_lease_labels(read_run(client, run_id).labels)
    lease.release()

    assert after is not None
    assert (mark.leased_at, True) == (after.leased_at, mark.lease_id != after.lease_id)


async def test_lease_that_was_given_back_frees_nobody_elses_slot(
    client: SyncPrefectClient, handle: str, enter: Enter
) -> None:
    lease = await asyncio.to_thread(enter)
    lease.release()
    client.increment_concurrency_slots_with_lease([name_tag(handle)], 1, "concurrency", 60)
    await lease.confirm()

    assert 1 == client.read_global_concurrency_limit_by_name(name_tag(handle)).active_slots


async def test_run_that_lost_its_lease_to_another_attaches_nothing(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], enter: Enter
) -> None:
    first, second = begin_run(), begin_run()
    lease = await asyncio.to_thread(enter, first)
    mark = read_lease_labels(read_run(client, first).labels)
    assert mark is not None
    client.release_concurrency_slots_with_lease(UUID(mark.lease_id))
    mark_run(client, second, handle, "elsewhere/1/1", str(uuid4()))
    with pytest.raises(ModelBusyError, match=str(second)):
        await lease.confirm()
    lease.release()


@pytest.mark.parametrize(
    ("state", "error", "renew_seconds"),
    [
        (Cancelling(), RunInterruptedError, RENEW_SECONDS),
        (Cancelling(), RunInterruptedError, 0.1),
        (Crashed(message="silent"), Abort, RENEW_SECONDS),
        (Cancelled(), Abort, 0.1),
    ],
)
async def test_run_that_somebody_ended_stops_within_five_seconds_and_attaches_nothing(
    client: SyncPrefectClient,
    handle: str,
    begin_run: Callable[[], UUID],
    state: State,
    error: type[BaseException],
    renew_seconds: float,
) -> None:
    run_id = begin_run()
    lease = Lease(client, handle, run_id, LOGGER, renew_seconds=renew_seconds)
    await asyncio.to_thread(lease.acquire, [])
    client.set_flow_run_state(run_id, state, force=True)
    async with asyncio.timeout(5):
        with CancellationWatcher(client).open() as watcher, pytest.raises(error), lease.renewing(watcher):
            await asyncio.sleep(60)
    with pytest.raises(error):
        await lease.confirm()
    lease.release()

    assert state.type == read_run(client, run_id).state_type


async def test_run_that_has_begun_to_attach_is_not_stopped(
    client: SyncPrefectClient, handle: str, begin_run: Callable[[], UUID], caplog: pytest.LogCaptureFixture
) -> None:
    run_id = begin_run()
    lease = Lease(client, handle, run_id, LOGGER, renew_seconds=0.1)
    await asyncio.to_thread(lease.acquire, [])
    with CancellationWatcher(client).open() as watcher, lease.renewing(watcher):
        await lease.confirm()
        client.set_flow_run_state(run_id, Cancelling(), force=True)
        while "must stop" not in caplog.text:  # noqa: ASYNC110 (a log has no event)
            await asyncio.sleep(0.05)
    lease.release()


def test_run_that_passed_for_dead_attaches_nothing_and_does_not_end_twice(
    workspace: Workspace, provider: Provider, prefect_server: str, client: SyncPrefectClient
) -> None:
    provider.behaviour = Behaviour(hold_after=3)
    started = workspace.start(program=PROGRAM, PREFECT_API_URL=prefect_server)
    while provider.in_flight == 0 or len(provider.answers) < 3:
        assert started.poll() is None
    tag = FlowRunFilter(tags=FlowRunFilterTags(all_=[name_tag(HANDLE)]))
    [run] = [run for run in client.read_flow_runs(flow_run_filter=tag) if run.state and run.state.is_running()]
    client.set_flow_run_state(run.id, Crashed(message="No heartbeat"), force=True)
    provider.behaviour = Behaviour()
    _, said = started.communicate(timeout=120)
    after = read_run(client, run.id)

    assert (130, []) == (started.returncode, workspace.list_sets())
    assert "exemplars: The run is over: CRASHED, No heartbeat" in said
    assert after.state is not None
    assert ("CRASHED", "No heartbeat") == (after.state.type.value, after.state.message)


@pytest.mark.parametrize("count", [2, 6])
def test_of_runs_at_once_one_attaches_and_the_others_end_as_cancelled(
    workspace: Workspace, provider: Provider, prefect_server: str, count: int
) -> None:
    from flows.synthesize import synthesize

    provider.behaviour = Behaviour(hold_after=3)

    async def run_all() -> list[object]:
        runs = [asyncio.ensure_future(synthesize(HANDLE, "from_traits", "low")) for _ in range(count)]
        while count - 1 > sum(run.done() for run in runs):  # noqa: ASYNC110 (several are waited for)
            await asyncio.sleep(0.05)
        provider.behaviour = Behaviour()
        return list(await asyncio.gather(*runs, return_exceptions=True))

    with pytest.MonkeyPatch.context() as patch:
        workspace.enter(patch)
        ended = asyncio.run(run_all())
    [folder] = workspace.list_sets()
    lost = [item for item in ended if isinstance(item, CancelledRun)]

    assert count - 1 == len(lost)
    assert {True} == {read_manifest(folder)["run_id"] in str(item) for item in lost}


def test_killed_run_is_taken_over_at_once(workspace: Workspace, provider: Provider, prefect_server: str) -> None:
    provider.behaviour = Behaviour(hold_after=3)
    killed = workspace.start(program=PROGRAM, PREFECT_API_URL=prefect_server)
    while provider.in_flight == 0 or len(provider.answers) < 3:
        assert killed.poll() is None
    killed.kill()
    killed.communicate()
    provider.behaviour = Behaviour()
    result = workspace.run()

    assert [result.run_id] == [read_manifest(folder)["run_id"] for folder in workspace.list_sets()]


def test_process_is_known_again() -> None:
    mine = name_process()
    place, pid, begin = mine.rsplit("/", 2)

    assert is_gone(mine) is False
    assert is_gone(find_gone_process()) is True
    assert is_gone(f"{place}/{pid}/1{begin}") is True
    assert is_gone(f"not-{place}/{pid}/{begin}") is None
    assert [None] * 4 == [is_gone(name) for name in ("", f"{place}/²/1", f"{place}/{'9' * 30}/1", "a/b")]
    assert describe_process(mine) == f"process {pid} on {socket.gethostname()}"
