"""Keeps every finished reply of a plan before it is used, so that no call is paid for twice."""

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

CLOSED = "The replies are closed, and nothing is kept any more"
# Until a shared limit is asked again, when calls of others may have ended.
ROOM_SECONDS = 0.5

LIST_REPLIES = text("SELECT key, reply FROM exemplars_replies WHERE plan_id = :plan_id")
# What is in flight elsewhere in this process, or out in a batch, is not lost.
SUM_CALLS = text(
    "SELECT ended, count(*), coalesce(sum(usd), 0.0) FROM exemplars_calls "
    "WHERE plan_id = :plan_id AND (ended OR opening NOT IN :live) GROUP BY ended"
).bindparams(bindparam("live", expanding=True))


@dataclass(frozen=True, slots=True)
class UnconfirmedCalls:
    """Calls that had begun and of which nothing is known: they may have been billed, though no reply came.

    ``ceiling_usd`` is the most that they cost together.
    """

    calls: int = 0
    ceiling_usd: float = 0.0


class ReplyStore:
    """The replies of one plan; several openings, processes and machines may share it.

    A reply is on disk when ``keep`` returns, the note that a call begins when ``begin`` does. What was kept when the
    plan was opened, and what is kept here, is found. Open it with ``with``; errors of the database are ``StoreError``,
    and after one each later ``begin``, ``keep`` and ``drop`` raises it at once.

    ``kept_usd`` is what the calls of the plan had cost when this was opened. ``lost`` are those that had begun and not
    ended, but for those that are out in a batch or of other live openings of this process: what another process or
    machine has in flight may be lost for all that is known here. Calls still open when their opening ends stay lost.

    Args:
        handle: the model, by which the replies can be cleared; empty where it is not known.

    Raises:
        StoreError: the database cannot be reached or written.
    """

    def __init__(self, place: DatabaseUrl, plan_id: str, handle: str = "") -> None:
        self._opening = PlanSession(secrets.token_hex(8), plan_id, handle or None)
        self._failure: str | None = None
        self._kept: dict[str, str] = {}
        self.kept_usd, self.lost = 0.0, UnconfirmedCalls()
        self._writer = Writer.open(place, self._opening, self._load)

    def find(self, key: str) -> Reply | None:
        """The reply kept under a key, if there is one."""
        return Reply(**json.loads(self._kept[key])) if key in self._kept else None

    async def begin(self, ceiling_usd: float | None, limit: SharedLimit | None = None) -> int:
        """Notes that a call is about to be made, and what it may cost at most; None: nobody knows. Its number.

        Args:
            limit: what the call counts under, beside all others of its budget. Where there is no room for it, the end
                of the calls in flight is waited for, wherever they are made: they may cost less.

        Raises:
            SharedBudgetError: with this call more could be spent than the limit.
        """
        call = secrets.randbits(62)
        change = CallStarted(call, self._opening.plan_id, self._opening.opening, ceiling_usd, limit)
        try:
            while isinstance(refused := await self._write(change), Refused):
                assert limit is not None
                if refused.in_flight_usd <= 0.0:
                    raise SharedBudgetError(
                        f"The backfill's limit of ${limit.max_usd:g} is reached: ${refused.spent_usd:.4f} of it is "
                        f"spent by all of its parts, and the next call could cost ${ceiling_usd or 0.0:.4f}. Start it "
                        "again with a higher limit: it does only what is left, and the replies are kept and not paid "
                        "twice"
                    )
                await asyncio.sleep(ROOM_SECONDS)
        except asyncio.CancelledError:
            # The note will be written all the same, and the call never be made.
            self._writer.hand(CallFailed(call))
            raise
        return call

    async def keep(self, key: str, reply: Reply, begun: int | None = None, asked: str | None = None) -> Reply:
        """Keeps a reply and returns the one that stands: the first, where two asked the same. Its call has ended.

        Args:
            asked: which embedded model gave it, by its endpoint's identity; None for a hosted one.
        """
        change = ReplyStored.of(self._opening.plan_id, key, reply, asked, begun)
        standing = await self._write(change)
        self._kept[key] = standing if isinstance(standing, str) else change.reply
        return Reply(**json.loads(self._kept[key]))

    async def drop(self, begun: int) -> None:
        """Notes that a call ended and cannot have been billed."""
        await self._write(CallFailed(begun))

    def abandon(self, begun: int) -> None:
        """Notes that a call ended without a reply and may have been billed: it is lost. Nobody waits for the note."""
        self._writer.hand(CallFailed(begun, maybe_billed=True))

    def close(self) -> None:
        """Returns when all that is being written is, or does not get any further; what was kept stays."""
        if self._failure != CLOSED:
            self._failure = CLOSED
            self._writer.close(self._opening)

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
        plan_id = self._opening.plan_id
        for ended, count, usd in connection.execute(SUM_CALLS, {"plan_id": plan_id, "live": [*live, IN_BATCH]}):
            if ended:
                self.kept_usd = usd
            else:
                self.lost = UnconfirmedCalls(count, usd)
        self._kept = {row.key: row.reply for row in connection.execute(LIST_REPLIES, {"plan_id": plan_id})}


@asynccontextmanager
async def open_replies(place: DatabaseUrl, plan_id: str, handle: str = "") -> AsyncIterator[ReplyStore]:
    """``ReplyStore``, opened and closed in a thread: an event loop, which may have many runs, does not wait for it."""
    opening = asyncio.ensure_future(asyncio.to_thread(ReplyStore, place, plan_id, handle))
    try:
        kept = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A thread cannot be stopped: what it opens has to be closed.
        with suppress(StoreError):
            await asyncio.to_thread((await opening).close)
        raise
    try:
        yield kept
    finally:
        await asyncio.shield(asyncio.to_thread(kept.close))
