"""The collector: one pass sends waiting lines, polls open batches and stores their replies; no line is sent twice.

A batch is an intent, then created, then over. Each step is recorded before the next one, so that the next collector
resumes there after a kill. Only the outcome of a create can be unknown; the provider's list is then searched for it.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection

from engine.errors import CredentialsError, ProviderError, ProviderTimeoutError, RetryableProviderError, StoreError
from engine.llm.batches.account import BatchAccount
from engine.llm.batches.ledger import (
    LEASE_SECONDS,
    LIST_BODIES,
    PAGE,
    finish,
    give_lease_back,
    intend,
    list_waiting,
    note,
    renew_lease,
    store_results,
    take_lease,
)
from engine.llm.batches.outbox import BatchRow, Outbox, State
from engine.llm.batches.provider import Answer, BatchProvider, Line
from engine.text.formatting import count_noun

T = TypeVar("T")

# The time until the first poll of a batch, and the maximum of the growing time between polls.
FIRST_POLL_SECONDS, MOST_POLL_SECONDS = 60.0, 900.0
# Maximum times until a create ends, and until the list shows its batch; the guide names the risk of a slower list.
CREATE_SECONDS, LAG_SECONDS = 540.0, 600.0
# Maximum time from a complete batch to its file of answers.
FILE_SECONDS = 900.0
# Providers promise 24 hours. After MOST_SECONDS a batch is cancelled. Its answers are read when it has ended, at the
# latest CANCELLING_SECONDS later.
MOST_SECONDS, CANCELLING_SECONDS = 26 * 3600.0, 3600.0
BUSY = f"Another process is collecting, or was killed less than {LEASE_SECONDS:g} s ago. This process waits for it"
LEFT_OUT = "The provider's batch ended without a reply to some of its calls"
NO_FILE = f"The provider's batch ended, and {FILE_SECONDS / 60:g} minutes later it had no file of answers"


@dataclass(frozen=True, slots=True)
class CollectResult:
    """The result of one pass.

    Args:
        sent: number of batches created.
        kept: number of replies stored.
        is_open: whether lines are waiting or batches are open.
        problems: the failures, each with its batch.
    """

    sent: int = 0
    kept: int = 0
    is_open: bool = True
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        kept = count_noun(self.kept, "reply", "replies")
        return f"{count_noun(self.sent, 'batch', 'batches')} sent, {kept} kept"


async def collect(
    outbox: Outbox,
    open_provider: Callable[[BatchAccount], BatchProvider],
    clock: Callable[[], float] = time.time,
    sends: bool = True,
) -> CollectResult:
    """Make one pass; do nothing while another process is collecting.

    Args:
        open_provider: opens the provider of an account, in a thread. It raises ``CredentialsError`` if the current key
            is not the account's.
        clock: returns seconds since 1970.
        sends: whether waiting lines are sent, or left waiting for more.

    Raises:
        StoreError: the outbox cannot be read or written.
    """
    collector = _Collector(outbox, open_provider, clock, secrets.token_hex(8))
    if not await asyncio.to_thread(outbox.change, lambda connection: take_lease(connection, collector.holder, clock())):
        return CollectResult(problems=(BUSY,))
    renewing = asyncio.create_task(collector.keep_lease())
    try:
        await collector.attend_batches()
        if sends:
            await collector.send_lines()
    except _LeaseLostError:
        collector.problems.append("Another process has begun to collect")
    finally:
        renewing.cancel()
        await collector.close()
        await asyncio.to_thread(outbox.change, lambda connection: give_lease_back(connection, collector.holder))
    rows, waiting = await asyncio.to_thread(lambda: (outbox.list_batches(), outbox.read(list_waiting)))
    is_open = bool(waiting) or any(row.state != "over" for row in rows)
    return CollectResult(collector.sent, collector.kept, is_open, tuple(collector.problems))


class _LeaseLostError(Exception):
    """Another process has become the collector."""


@dataclass
class _Collector:
    outbox: Outbox
    open_provider: Callable[[BatchAccount], BatchProvider]
    clock: Callable[[], float]
    holder: str
    providers: dict[str, BatchProvider] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    sent: int = 0
    kept: int = 0

    async def keep_lease(self) -> None:
        """Renew the lease until this task is cancelled."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(StoreError, _LeaseLostError):
                await self._change(lambda _: None)

    async def attend_batches(self) -> None:
        """Advance each batch that is not over."""
        rows = await asyncio.to_thread(self.outbox.list_batches)
        taken = {row.remote_id for row in rows if row.remote_id}
        for row in rows:
            if row.state == "over":
                continue
            remote = f" ({row.remote_id})" if row.remote_id else ""
            with self._recording_problem(
                f"Batch {row.batch[:12]}{remote} of {BatchAccount.from_json(row.place).model}"
            ):
                try:
                    await self._attend(row, taken)
                except (RetryableProviderError, StoreError, _LeaseLostError):
                    raise
                except Exception as error:
                    # The batch was cancelled or is overdue, and it can no longer be read.
                    is_lost = row.remote_id and self._is_late(row) and not isinstance(error, CredentialsError)
                    if row.cancel_at or is_lost:
                        await self._finish(row, str(error))
                    raise

    async def send_lines(self) -> None:
        """Form batches of the waiting lines, and send them."""
        for place in await self._change(list_waiting):
            with self._recording_problem(f"Waiting calls to {BatchAccount.from_json(place).model}"):
                await self._open(place)
                while row := await self._change(intend, place, self.clock()):
                    await self._submit(row)

    async def close(self) -> None:
        """Close the providers."""
        for provider in self.providers.values():
            with suppress(Exception):
                await provider.close()

    async def _attend(self, row: BatchRow, taken: set[str]) -> None:
        if row.remote_id:
            if self.clock() >= (row.next_poll_at or 0.0):
                await self._poll(row, row.remote_id)
        elif row.created_at is not None:
            await self._look_for(row, row.created_at, taken)
        elif row.cancel_at or self._is_late(row):
            await self._finish(row, "The batch was not sent")
        else:
            await self._submit(row)

    async def _submit(self, row: BatchRow) -> None:
        provider, tried_at = await self._open(row.place), None
        try:
            file_id = await provider.upload(row.batch, self._read_lines(row))
            tried_at = self.clock()
            await self._change(note, row.batch, created_at=tried_at)
            async with asyncio.timeout(CREATE_SECONDS):
                remote_id = await provider.create(row.batch, file_id, self._read_lines(row))
        except TimeoutError:
            raise ProviderTimeoutError(
                f"The provider did not confirm it in {CREATE_SECONDS:g} s: its list of batches is searched for it",
                maybe_billed=True,
            ) from None
        except ProviderError as error:
            if error.maybe_billed:
                error.args = (f"{error}. The provider may have accepted it: its list of batches is searched for it",)
                raise
            if not isinstance(error, RetryableProviderError):
                await self._finish(row, str(error), state="refused")
            elif tried_at is not None:
                await self._change(note, row.batch, created_at=None)
            raise
        await self._note_created(row, remote_id)
        self.sent += 1

    async def _look_for(self, row: BatchRow, tried_at: float, taken: set[str]) -> None:
        """Find the batch of an unconfirmed create; queue its lines again once it is certain that there is none."""
        provider = await self._open(row.place)
        ids = await asyncio.to_thread(lambda: {line.custom_id for line in self._read_lines(row)})
        remote_id = await provider.find(row.batch, tried_at, ids, taken)
        if remote_id:
            taken.add(remote_id)
            await self._note_created(row, remote_id)
        elif row.missed_at is None:
            await self._change(note, row.batch, missed_at=self.clock())
        elif self.clock() >= tried_at + LAG_SECONDS:
            await self._finish(row, "The provider does not have the batch", again=not row.cancel_at)

    async def _note_created(self, row: BatchRow, remote_id: str) -> None:
        next_poll_at = self.clock() + FIRST_POLL_SECONDS
        await self._change(note, row.batch, remote_id=remote_id, missed_at=None, next_poll_at=next_poll_at)

    async def _poll(self, row: BatchRow, remote_id: str) -> None:
        provider, now = await self._open(row.place), self.clock()
        remote = await provider.look(remote_id)
        is_ending = bool(row.cancel_at) or self._is_late(row)
        missed_at = (row.missed_at or now) if remote.state == "no file" else None
        is_over = remote.state == "ended" or (missed_at is not None and now >= missed_at + FILE_SECONDS)
        if remote.state == "refused":
            await self._finish(row, remote.message, state="refused")
        elif is_over or self._is_late(row, CANCELLING_SECONDS):
            await self._keep_answers(row, provider.read(remote_id))
            if missed_at is not None:
                self.problems.append(f"Batch {row.batch[:12]} ({remote_id}): {NO_FILE}. Its calls are made again")
            await self._finish(row, LEFT_OUT if missed_at is None else NO_FILE, again=not is_ending)
        else:
            if is_ending and missed_at is None:
                # The provider may reject a second cancellation.
                with suppress(ProviderError):
                    await provider.cancel(remote_id)
            most = MOST_POLL_SECONDS if missed_at is None else FIRST_POLL_SECONDS
            wait = min(most, max(FIRST_POLL_SECONDS, (now - (row.created_at or now)) / 2))
            await self._change(note, row.batch, missed_at=missed_at, next_poll_at=now + wait, said=remote.message)

    async def _keep_answers(self, row: BatchRow, answers: AsyncIterator[Answer]) -> None:
        """Store answers page by page. After an interruption all are read again, and the stored replies stay."""
        page = list[Answer]()
        async for answer in answers:
            page.append(answer)
            if len(page) == PAGE:
                self.kept += await self._change(store_results, row.batch, page)
                page = []
        self.kept += await self._change(store_results, row.batch, page)

    async def _finish(self, row: BatchRow, message: str, again: bool = False, state: State = "live") -> None:
        await self._change(finish, row.batch, message, self.clock(), again, state)

    async def _open(self, place: str) -> BatchProvider:
        if place not in self.providers:
            self.providers[place] = await asyncio.to_thread(self.open_provider, BatchAccount.from_json(place))
        return self.providers[place]

    def _read_lines(self, row: BatchRow) -> Iterator[Line]:
        values = {"batch": row.batch, "after": "", "page": PAGE}
        while page := self.outbox.read(lambda connection: connection.execute(LIST_BODIES, values).all()):
            for custom_id, body in page:
                yield Line(custom_id, json.loads(body))
            values["after"] = page[-1].custom_id

    def _is_late(self, row: BatchRow, by_seconds: float = 0.0) -> bool:
        return self.clock() > (row.created_at or row.intended_at) + MOST_SECONDS + by_seconds

    @contextmanager
    def _recording_problem(self, subject: str) -> Iterator[None]:
        try:
            yield
        except (_LeaseLostError, StoreError):
            raise
        except Exception as error:
            again = isinstance(error, RetryableProviderError) and not error.maybe_billed
            self.problems.append(f"{subject}: {str(error) or repr(error)}{'. It is tried again' if again else ''}")

    async def _change(self, act: Callable[..., T], *values: Any, **named: Any) -> T:
        """Change the outbox if this collector has the lease; otherwise its view of the batches may be outdated."""

        def change(connection: Connection) -> T:
            if not renew_lease(connection, self.holder, self.clock()):
                raise _LeaseLostError
            return act(connection, *values, **named)

        return await asyncio.to_thread(self.outbox.change, change)
