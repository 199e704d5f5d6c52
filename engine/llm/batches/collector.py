"""The collector: one pass sends what waits, looks at what is out, and keeps what came; no line is sent twice.

A batch is an intent, then created, then over. Each step is noted before the next one is made, so that whoever collects
after a kill goes on from there; only whether the provider took a create may be unknown, and then it is looked for.
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
    settle,
    take_lease,
)
from engine.llm.batches.outbox import BatchRow, Outbox, State
from engine.llm.batches.provider import Answer, BatchProvider, Line
from engine.text.formatting import count_noun

T = TypeVar("T")

# A batch is looked at after so long, then ever more seldom.
FIRST_POLL_SECONDS, MOST_POLL_SECONDS = 60.0, 900.0
# A create is over in less than this, and a list shows it by then; the guide says what a slower list could cost.
CREATE_SECONDS, LAG_SECONDS = 540.0, 600.0
# How long the file of answers may follow a batch that is complete.
FILE_SECONDS = 900.0
# Providers promise 24 hours. Then a batch is cancelled, and what it has is read when that is done, at the latest later.
MOST_SECONDS, CANCELLING_SECONDS = 26 * 3600.0, 3600.0
BUSY = f"Another process collects, or was ended less than {LEASE_SECONDS:g} s ago: this one waits for that"
LEFT_OUT = "The provider's batch ended without a reply to some of its calls"
NO_FILE = f"The provider's batch ended, and {FILE_SECONDS / 60:g} minutes later it had no file of answers"


@dataclass(frozen=True, slots=True)
class CollectResult:
    """What a pass came to.

    Args:
        sent: batches that were created.
        kept: replies.
        is_open: whether lines wait or batches are out.
        said: what did not go well, and with which batch.
    """

    sent: int = 0
    kept: int = 0
    is_open: bool = True
    said: tuple[str, ...] = ()

    def __str__(self) -> str:
        kept = count_noun(self.kept, "reply", "replies")
        return f"{count_noun(self.sent, 'batch', 'batches')} sent, {kept} kept"


async def collect(
    outbox: Outbox,
    open_provider: Callable[[BatchAccount], BatchProvider],
    clock: Callable[[], float] = time.time,
    sends: bool = True,
) -> CollectResult:
    """Does one pass; nothing where somebody else is at it.

    Args:
        open_provider: opens the provider of an account, in a thread; ``CredentialsError`` if the key that is set now
            is another one.
        clock: seconds since 1970.
        sends: whether lines that wait are sent, or left to wait for others.

    Raises:
        StoreError: the outbox cannot be read or written.
    """
    collector = _Collector(outbox, open_provider, clock, secrets.token_hex(8))
    if not await asyncio.to_thread(outbox.change, lambda connection: take_lease(connection, collector.holder, clock())):
        return CollectResult(said=(BUSY,))
    renewing = asyncio.create_task(collector.keep_lease())
    try:
        await collector.attend_batches()
        if sends:
            await collector.send_lines()
    except _LeaseLostError:
        collector.said.append("Another process has begun to collect")
    finally:
        renewing.cancel()
        await collector.close()
        await asyncio.to_thread(outbox.change, lambda connection: give_lease_back(connection, collector.holder))
    rows, waiting = await asyncio.to_thread(lambda: (outbox.list_batches(), outbox.read(list_waiting)))
    is_open = bool(waiting) or any(row.state != "over" for row in rows)
    return CollectResult(collector.sent, collector.kept, is_open, tuple(collector.said))


class _LeaseLostError(Exception):
    """Somebody else collects by now."""


@dataclass
class _Collector:
    outbox: Outbox
    open_provider: Callable[[BatchAccount], BatchProvider]
    clock: Callable[[], float]
    holder: str
    wires: dict[str, BatchProvider] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    sent: int = 0
    kept: int = 0

    async def keep_lease(self) -> None:
        """Renews the lease until it is cancelled."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(StoreError, _LeaseLostError):
                await self._change(lambda _: None)

    async def attend_batches(self) -> None:
        """Goes on with each batch that is not over."""
        rows = await asyncio.to_thread(self.outbox.list_batches)
        taken = {row.remote_id for row in rows if row.remote_id}
        for row in rows:
            if row.state == "over":
                continue
            known = f" ({row.remote_id})" if row.remote_id else ""
            with self._noting(f"Batch {row.batch[:12]}{known} of {BatchAccount.from_json(row.place).model}"):
                try:
                    await self._attend(row, taken)
                except (RetryableProviderError, StoreError, _LeaseLostError):
                    raise
                except Exception as error:
                    # A person or its time has ended it, and nobody can read it any more.
                    is_lost = row.remote_id and self._is_late(row) and not isinstance(error, CredentialsError)
                    if row.cancel_at or is_lost:
                        await self._finish(row, str(error))
                    raise

    async def send_lines(self) -> None:
        """Makes batches of the lines that wait, and sends them."""
        for place in await self._change(list_waiting):
            with self._noting(f"Calls to {BatchAccount.from_json(place).model} that wait"):
                await self._open(place)
                while row := await self._change(intend, place, self.clock()):
                    await self._submit(row)

    async def close(self) -> None:
        """Closes the wires."""
        for wire in self.wires.values():
            with suppress(Exception):
                await wire.close()

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
        wire, tried_at = await self._open(row.place), None
        try:
            file_id = await wire.upload(row.batch, self._read_lines(row))
            tried_at = self.clock()
            await self._change(note, row.batch, created_at=tried_at)
            async with asyncio.timeout(CREATE_SECONDS):
                remote_id = await wire.create(row.batch, file_id, self._read_lines(row))
        except TimeoutError:
            raise ProviderTimeoutError(
                f"Its create was not answered in {CREATE_SECONDS:g} s: the provider's list is asked for it",
                maybe_billed=True,
            ) from None
        except ProviderError as error:
            if error.maybe_billed:
                error.args = (f"{error}. Whether the provider took its batch is not known: its list is asked for that",)
                raise
            if not isinstance(error, RetryableProviderError):
                await self._finish(row, str(error), state="refused")
            elif tried_at is not None:
                await self._change(note, row.batch, created_at=None)
            raise
        await self._note_created(row, remote_id)
        self.sent += 1

    async def _look_for(self, row: BatchRow, tried_at: float, taken: set[str]) -> None:
        """Adopts a batch whose create was not answered; or has its lines wait again, once it can be said to be none."""
        wire = await self._open(row.place)
        ids = await asyncio.to_thread(lambda: {line.custom_id for line in self._read_lines(row)})
        remote_id = await wire.find(row.batch, tried_at, ids, taken)
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
        wire, now = await self._open(row.place), self.clock()
        found = await wire.look(remote_id)
        is_ending = bool(row.cancel_at) or self._is_late(row)
        missed_at = (row.missed_at or now) if found.state == "no file" else None
        is_over = found.state == "ended" or (missed_at is not None and now >= missed_at + FILE_SECONDS)
        if found.state == "refused":
            await self._finish(row, found.said, state="refused")
        elif is_over or self._is_late(row, CANCELLING_SECONDS):
            await self._keep_answers(row, wire.read(remote_id))
            if missed_at is not None:
                self.said.append(f"Batch {row.batch[:12]} ({remote_id}): {NO_FILE}. Its calls are asked again")
            await self._finish(row, LEFT_OUT if missed_at is None else NO_FILE, again=not is_ending)
        else:
            if is_ending and missed_at is None:
                # One that is being cancelled already may refuse.
                with suppress(ProviderError):
                    await wire.cancel(remote_id)
            most = MOST_POLL_SECONDS if missed_at is None else FIRST_POLL_SECONDS
            wait = min(most, max(FIRST_POLL_SECONDS, (now - (row.created_at or now)) / 2))
            await self._change(note, row.batch, missed_at=missed_at, next_poll_at=now + wait, said=found.said)

    async def _keep_answers(self, row: BatchRow, answers: AsyncIterator[Answer]) -> None:
        """Keeps what came, page by page: one that breaks off is read again, and what was kept stays."""
        page = list[Answer]()
        async for answer in answers:
            page.append(answer)
            if len(page) == PAGE:
                self.kept += await self._change(settle, row.batch, page)
                page = []
        self.kept += await self._change(settle, row.batch, page)

    async def _finish(self, row: BatchRow, said: str, again: bool = False, state: State = "live") -> None:
        await self._change(finish, row.batch, said, self.clock(), again, state)

    async def _open(self, place: str) -> BatchProvider:
        if place not in self.wires:
            self.wires[place] = await asyncio.to_thread(self.open_provider, BatchAccount.from_json(place))
        return self.wires[place]

    def _read_lines(self, row: BatchRow) -> Iterator[Line]:
        values = {"batch": row.batch, "after": "", "page": PAGE}
        while page := self.outbox.read(lambda connection: connection.execute(LIST_BODIES, values).all()):
            for custom_id, body in page:
                yield Line(custom_id, json.loads(body))
            values["after"] = page[-1].custom_id

    def _is_late(self, row: BatchRow, by_seconds: float = 0.0) -> bool:
        return self.clock() > (row.created_at or row.intended_at) + MOST_SECONDS + by_seconds

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        try:
            yield
        except (_LeaseLostError, StoreError):
            raise
        except Exception as error:
            again = isinstance(error, RetryableProviderError) and not error.maybe_billed
            self.said.append(f"{what}: {str(error) or repr(error)}{'. It is tried again' if again else ''}")

    async def _change(self, act: Callable[..., T], *values: Any, **named: Any) -> T:
        """Changes the outbox, as long as nobody else collects: by then, what is known here may not be so any more."""

        def change(connection: Connection) -> T:
            if not renew_lease(connection, self.holder, self.clock()):
                raise _LeaseLostError
            return act(connection, *values, **named)

        return await asyncio.to_thread(self.outbox.change, change)
