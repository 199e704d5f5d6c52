"""Store every finished reply of a plan before it is used, so that no call is paid for twice."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection, bindparam, text

from engine.errors import SharedBudgetError, StoreError
from engine.llm.client.request import Reply
from engine.llm.replies.changes import (
    IN_BATCH,
    CallFailed,
    CallStarted,
    Change,
    Outcome,
    PlanSession,
    Refused,
    ReplyStored,
    SharedLimit,
)
from engine.llm.replies.writer import Writer
from engine.settings import DatabaseUrl

CLOSED = "The reply store is closed: no more replies are stored"
# The time until a shared limit is checked again, when other calls may have ended.
ROOM_SECONDS = 0.5

LIST_REPLIES = text("SELECT key, reply FROM exemplars_replies WHERE plan_id = :plan_id")
# Calls in flight elsewhere in this process, or sent in a batch, are not lost.
SUM_CALLS = text(
    "SELECT ended, count(*), coalesce(sum(usd), 0.0) FROM exemplars_calls "
    "WHERE plan_id = :plan_id AND (ended OR opening NOT IN :live) GROUP BY ended"
).bindparams(bindparam("live", expanding=True))


@dataclass(frozen=True, slots=True)
class UnconfirmedCalls:
    """Started calls with an unknown outcome: they may have been billed, though there is no reply.

    ``ceiling_usd`` is their maximum total cost.
    """

    calls: int = 0
    ceiling_usd: float = 0.0


class ReplyStore:
    """The replies of one plan; several sessions, processes and machines may share them.

    A reply is on disk when ``keep`` returns, the record of a started call when ``begin`` does. ``find`` knows the
    replies stored before the plan was opened, and those stored here. Open it with ``with``; errors of the database are
    ``StoreError``, and after one each later ``begin``, ``keep`` and ``drop`` raises it at once.

    ``kept_usd`` is the cost of the plan's calls when this was opened. ``lost`` are calls started and not ended, except
    calls in a batch or in other live sessions of this process: calls in flight in another process or machine count as
    lost, since their outcome is unknown here. Calls still open when their session ends stay lost.

    Args:
        handle: the model, by which the replies can be cleared; empty if it is unknown.

    Raises:
        StoreError: the database cannot be reached or written.
    """

    def __init__(self, place: DatabaseUrl, plan_id: str, handle: str = "") -> None:
        self._session = PlanSession(secrets.token_hex(8), plan_id, handle or None)
        self._failure: str | None = None
        self._kept: dict[str, str] = {}
        self.kept_usd, self.lost = 0.0, UnconfirmedCalls()
        self._writer = Writer.open(place, self._session, self._load)

    def find(self, key: str) -> Reply | None:
        """Return the reply stored under a key, if there is one."""
        return Reply(**json.loads(self._kept[key])) if key in self._kept else None

    async def begin(self, ceiling_usd: float | None, limit: SharedLimit | None = None) -> int:
        """Record that a call is about to be made, with its maximum cost (None: unknown), and return its number.

        Args:
            limit: the limit that the call shares with all others of its budget. If it leaves no room, wait for the end
                of the calls in flight, in all processes, since they may cost less.

        Raises:
            SharedBudgetError: with this call the limit could be exceeded.
        """
        call = secrets.randbits(62)
        change = CallStarted(call, self._session.plan_id, self._session.opening, ceiling_usd, limit)
        try:
            while isinstance(refusal := await self._write(change), Refused):
                assert limit is not None
                if refusal.in_flight_usd <= 0.0:
                    raise SharedBudgetError(
                        f"The backfill's limit of ${limit.max_usd:g} is reached: ${refusal.spent_usd:.4f} of it is "
                        f"spent by all of its parts, and the next call could cost ${ceiling_usd or 0.0:.4f}. Start it "
                        "again with a higher limit: it does only what is left, and the replies are kept and not paid "
                        "twice"
                    )
                await asyncio.sleep(ROOM_SECONDS)
        except asyncio.CancelledError:
            # The record will still be written, but the call will not be made.
            self._writer.hand(CallFailed(call))
            raise
        return call

    async def keep(self, key: str, reply: Reply, call: int | None = None, identity: str | None = None) -> Reply:
        """Store a reply, end its call, and return the valid reply: the first one stored under the key.

        Args:
            identity: the endpoint's identity if an embedded model gave the reply; None for a hosted one.
        """
        change = ReplyStored.of(self._session.plan_id, key, reply, identity, call)
        existing = await self._write(change)
        self._kept[key] = existing if isinstance(existing, str) else change.reply
        return Reply(**json.loads(self._kept[key]))

    async def drop(self, call: int) -> None:
        """Record that a call ended and cannot have been billed."""
        await self._write(CallFailed(call))

    def abandon(self, call: int) -> None:
        """Record, without waiting, that a call is lost: it ended without a reply and may have been billed."""
        self._writer.hand(CallFailed(call, maybe_billed=True))

    def close(self) -> None:
        """Wait until all pending writes have succeeded or failed, and close the store; stored replies stay."""
        if self._failure != CLOSED:
            self._failure = CLOSED
            self._writer.close(self._session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _write(self, change: Change) -> Outcome:
        if self._failure is not None:
            raise StoreError(self._failure)
        try:
            return await asyncio.shield(asyncio.wrap_future(self._writer.hand(change)))
        except StoreError as error:
            self._failure = self._failure or str(error)
            raise

    def _load(self, connection: Connection, live: Sequence[str]) -> None:
        plan_id = self._session.plan_id
        for ended, count, usd in connection.execute(SUM_CALLS, {"plan_id": plan_id, "live": [*live, IN_BATCH]}):
            if ended:
                self.kept_usd = usd
            else:
                self.lost = UnconfirmedCalls(count, usd)
        self._kept = {row.key: row.reply for row in connection.execute(LIST_REPLIES, {"plan_id": plan_id})}


@asynccontextmanager
async def open_replies(place: DatabaseUrl, plan_id: str, handle: str = "") -> AsyncIterator[ReplyStore]:
    """Open and close a ``ReplyStore`` in a thread, so that the event loop, which may have many runs, is not blocked."""
    opening = asyncio.ensure_future(asyncio.to_thread(ReplyStore, place, plan_id, handle))
    try:
        store = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A thread cannot be stopped, so the store that it opens must be closed.
        with suppress(StoreError):
            await asyncio.to_thread((await opening).close)
        raise
    try:
        yield store
    finally:
        await asyncio.shield(asyncio.to_thread(store.close))
