"""The lease: however many runs there are of a model, one works on it, and a dead holder keeps nobody out."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fakes.provider import Behaviour, Provider
from fakes.waiting import wait_meanwhile
from fakes.workspace import HANDLE, Workspace, find_gone_process, read_manifest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Running

from engine.errors import ModelBusyError, RunInterruptedError
from flows.run.cancellation import CancellationWatcher
from flows.run.labels import LeaseLabels, name_tag, read_lease_labels
from flows.run.lease.holders import describe_process, is_gone, name_process
from flows.run.lease.lease import RENEW_SECONDS, Lease

LOGGER = logging.getLogger(__name__)
PLACE = name_process().rsplit("/", 2)[0]
# The first process of every system: it lives, and is not this one.
LIVING = f"{PLACE}/1/{Path('/proc/1/stat').read_text().rpartition(')')[2].split()[19]}"
ELSEWHERE = "elsewhere/1/1"


@flow(name="leasing")
def leasing() -> None:
    """A flow whose runs hold leases in these tests."""


@dataclass(frozen=True)
class Model:
    """A model of which no other test has runs."""

    client: SyncPrefectClient
    handle: str

    def begin(self) -> UUID:
        """A run that is RUNNING, as of a process that has begun it."""
        return self.client.create_flow_run(leasing, state=Running()).id

    def acquire(self, run_id: UUID | None = None) -> Lease:
        """The lease for a run, new where none is given."""
        lease = Lease(self.client, self.handle, run_id or self.begin(), LOGGER, patience_seconds=1.5)
        try:
            lease.acquire([])
        except ModelBusyError:
            lease.release()
            raise
        return lease

    def read_mark(self, run_id: UUID) -> LeaseLabels:
        """What marks a run as the holder."""
        mark = read_lease_labels(self.client.read_flow_run(run_id).labels)
        assert mark is not None
        return mark

    def mark(self, run_id: UUID, process: str, lease_id: str | None = None) -> None:
        """Marks a run as a holder in another process, with the lease that it has or with this."""
        mark = LeaseLabels(lease_id or self.read_mark(run_id).lease_id, Completed().timestamp, process)
        self.client.update_flow_run(run_id, tags=[name_tag(self.handle)])
        self.client.update_flow_run_labels(run_id, dict(mark.to_labels()))

    def read_state(self, run_id: UUID) -> tuple[str, str]:
        """The type and the message of a run's state."""
        state = self.client.read_flow_run(run_id).state
        assert state is not None
        return state.type.value, str(state.message)

    def lose_slot(self, run_id: UUID) -> None:
        """Frees the slot of a holder, who does not hear of it."""
        self.client.release_concurrency_slots_with_lease(UUID(self.read_mark(run_id).lease_id))

    def count_active(self) -> int:
        """How many slots are taken."""
        return self.client.read_global_concurrency_limit_by_name(name_tag(self.handle)).active_slots


@pytest.fixture
def model(prefect_server: str) -> Iterator[Model]:
    with get_client(sync_client=True) as opened:
        yield Model(opened, f"tests.m{uuid4().hex[:12]}")


def test_holder_marks_its_run_keeps_others_out_and_unmarks_it(model: Model) -> None:
    first, second = model.begin(), model.begin()
    lease = model.acquire(first)
    held = model.read_mark(first)
    with pytest.raises(ModelBusyError, match=str(first)) as caught:
        model.acquire(second)
    lease.release()

    assert str(first) == caught.value.run_id
    assert (name_process(), True) == (held.process, bool(held.lease_id))
    assert held.released() == model.read_mark(first)
    assert [name_tag(model.handle)] == model.client.read_flow_run(first).tags
    assert read_lease_labels(model.client.read_flow_run(second).labels) is None
    model.acquire(second).release()


@pytest.mark.parametrize("said", ["", "exited with -9"], ids=["nobody said so", "Prefect said so"])
def test_slot_of_a_process_that_is_gone_is_taken_over(model: Model, said: str) -> None:
    dead, retried = model.begin(), model.begin()
    model.acquire(dead)
    model.mark(dead, find_gone_process())
    if said:
        model.client.set_flow_run_state(dead, Crashed(message=said), force=True)
    model.acquire(retried)
    kind, message = model.read_state(dead)
    # A run that is started again takes over from its own first process.
    model.mark(retried, find_gone_process())
    model.acquire(retried).release()

    assert ("CRASHED", True) == (kind, (said or "Its process is gone") in message)
    assert "RUNNING" == model.read_state(retried)[0]


@pytest.mark.parametrize(("process", "waits"), [(LIVING, False), (ELSEWHERE, True)], ids=["synthesis", "review"])
def test_run_that_is_begun_twice_is_left_to_its_first_start_and_names_no_other(
    model: Model, process: str, waits: bool
) -> None:
    run_id = model.begin()
    first = model.acquire(run_id)
    lease_id = model.read_mark(run_id).lease_id
    model.mark(run_id, process)
    second = Lease(model.client, model.handle, run_id, LOGGER, 1.5, waits=waits)
    with pytest.raises(Abort, match=r"begun twice, and process 1 on .* was first") as caught:
        second.acquire([])
    second.release()
    after = model.read_state(run_id)[0], model.read_mark(run_id).lease_id
    first.release()

    assert str(run_id) not in str(caught.value)
    assert ("RUNNING", lease_id) == after


def test_holder_on_another_host_is_waited_for_and_named(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    other = model.begin()
    lease = model.acquire(other)
    model.mark(other, ELSEWHERE)
    with caplog.at_level(logging.INFO), pytest.raises(ModelBusyError, match=f"{other}.*elsewhere"):
        model.acquire()
    lease.release()

    assert "Waiting up to" in caplog.text


async def test_lease_that_ran_out_on_another_host_is_no_bar_for_ever(model: Model) -> None:
    other = model.begin()
    model.mark(other, ELSEWHERE, str(uuid4()))
    lease = await asyncio.to_thread(model.acquire)
    await lease.confirm()
    lease.release()

    assert "RUNNING" == model.read_state(other)[0]


def test_slot_that_nobody_holds_is_freed_unless_the_wait_is_given_up(model: Model) -> None:
    taken = GlobalConcurrencyLimitCreate(name=name_tag(model.handle), limit=1, active_slots=1)
    model.client.create_global_concurrency_limit(taken)
    impatient = Lease(model.client, model.handle, model.begin(), LOGGER, patience_seconds=0)
    impatient.give_up()
    impatient.acquire([])
    impatient.release()
    still_taken = model.count_active()
    model.acquire().release()

    assert (1, 0) == (still_taken, model.count_active())


async def test_slot_that_came_free_too_early_lets_no_second_run_in(model: Model) -> None:
    first = model.begin()
    lease = await asyncio.to_thread(model.acquire, first)
    model.lose_slot(first)
    with pytest.raises(ModelBusyError, match=str(first)):
        await asyncio.to_thread(model.acquire)

    await lease.confirm()
    lease.release()


async def test_lease_that_a_server_forgot_is_taken_again(model: Model) -> None:
    run_id = model.begin()
    lease = await asyncio.to_thread(model.acquire, run_id)
    before = model.read_mark(run_id)
    model.lose_slot(run_id)
    model.client._client.patch(f"/v2/concurrency_limits/{name_tag(model.handle)}", json={"active_slots": 1})
    await lease.confirm()
    after = model.read_mark(run_id)
    lease.release()

    assert (before.leased_at, True) == (after.leased_at, before.lease_id != after.lease_id)


async def test_run_that_lost_its_lease_to_another_attaches_nothing(model: Model) -> None:
    first, second = model.begin(), model.begin()
    lease = await asyncio.to_thread(model.acquire, first)
    model.lose_slot(first)
    model.mark(second, ELSEWHERE, str(uuid4()))
    with pytest.raises(ModelBusyError, match=str(second)):
        await lease.confirm()
    lease.release()


@pytest.mark.parametrize(
    ("state", "error", "renew_seconds"),
    [
        (Cancelling(), RunInterruptedError, 0.1),
        (Crashed(message="silent"), Abort, RENEW_SECONDS),
        (Cancelled(), Abort, 0.1),
    ],
)
async def test_run_that_somebody_ended_stops_and_attaches_nothing(
    model: Model, state: State, error: type[BaseException], renew_seconds: float
) -> None:
    run_id = model.begin()
    lease = Lease(model.client, model.handle, run_id, LOGGER, renew_seconds=renew_seconds)
    await asyncio.to_thread(lease.acquire, [])
    model.client.set_flow_run_state(run_id, state, force=True)
    with CancellationWatcher(model.client).open() as watcher, pytest.raises(error), lease.watching(watcher):
        await asyncio.sleep(60)
    with pytest.raises(error):
        await lease.confirm()
    lease.release()

    assert state.type.value == model.read_state(run_id)[0]


async def test_run_that_has_begun_to_attach_is_not_stopped(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    run_id = model.begin()
    lease = Lease(model.client, model.handle, run_id, LOGGER, renew_seconds=0.1)
    await asyncio.to_thread(lease.acquire, [])
    with CancellationWatcher(model.client).open() as watcher, lease.watching(watcher):
        await lease.confirm()
        model.client.set_flow_run_state(run_id, Cancelling(), force=True)
        await wait_meanwhile(lambda: "must stop" in caplog.text)
    lease.release()


@pytest.mark.slow
def test_of_runs_at_once_one_attaches_and_the_others_end_as_cancelled(
    workspace: Workspace, provider: Provider, prefect_server: str
) -> None:
    from flows.synthesize import synthesize

    provider.behaviour = Behaviour(hold_after=3)

    async def run_all() -> list[object]:
        runs = [asyncio.ensure_future(synthesize(HANDLE, "from_traits", "low")) for _ in range(6)]
        await wait_meanwhile(lambda: sum(run.done() for run in runs) == 5, 200)
        provider.behaviour = Behaviour()
        return list(await asyncio.gather(*runs, return_exceptions=True))

    with pytest.MonkeyPatch.context() as patch:
        workspace.enter(patch)
        ended = asyncio.run(run_all())
    [folder] = workspace.list_sets()
    lost = [item for item in ended if isinstance(item, ModelBusyError)]

    assert 5 == len(lost)
    assert {True} == {read_manifest(folder)["run_id"] in str(item) for item in lost}


def test_process_is_known_again() -> None:
    mine = name_process()
    place, pid, begin = mine.rsplit("/", 2)

    assert is_gone(mine) is False
    assert is_gone(find_gone_process()) is True
    assert is_gone(f"{place}/{pid}/1{begin}") is True
    assert is_gone(f"not-{place}/{pid}/{begin}") is None
    assert [None] * 3 == [is_gone(name) for name in ("", f"{place}/²/1", "a/b")]
    assert describe_process(mine) == f"process {pid} on {socket.gethostname()}"
    assert read_lease_labels({"exemplars.leased_at": 7}) is None
    assert read_lease_labels({"exemplars.leased_at": "yesterday", "exemplars.lease": "x"}) is None
