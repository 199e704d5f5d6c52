"""Keeps every finished reply of a plan before it is used, so that no call is paid for twice."""

import asyncio
import json
import logging
import math
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, fields
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, func, select

from engine.errors import SharedBudgetError, StoreError
from engine.llm.client.request import Reply
from engine.llm.replies.changes import (
    ASKED,
    Abandoned,
    Begun,
    Change,
    Dropped,
    Kept,
    OpenPlan,
    Outcome,
    Refused,
    SharedLimit,
    parse_reply,
)
from engine.llm.replies.tables import calls, replies
from engine.llm.replies.writer import Notice, Writer
from engine.settings import RepliesPlace

_log = logging.getLogger(__name__)
CLOSED = "The replies are closed, and nothing is kept any more"
# Until a shared limit is asked again, when calls of others may have ended.
ROOM_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Lost:
    """Calls that had begun and of which nothing is known: they may have been billed, though no reply came.

    ``bound_usd`` is the most that they cost together, without the ``unpriced``.
    """

    calls: int = 0
    bound_usd: float = 0.0
    unpriced: int = 0


class ReplyStore:
    """The replies of one plan; several openings, processes and machines may share it.

    A reply is on disk when ``keep`` returns, the note that a call begins when ``begin`` does. What was kept when the
    plan was opened, and what is kept here, is found; ``find`` and ``close`` need no event loop. Open it with ``with``;
    errors of the database are ``StoreError``, and after one that came of writing, each later ``begin``, ``keep`` and
    ``drop`` raises it at once.

    ``lost`` are the calls of the plan that had begun and not ended when this was opened, but for those of other live
    openings of this process: what another process or machine has in flight may be lost for all that is known here.
    Calls that stay open when their opening ends stay lost.

    Args:
        handle: the model, by which the replies can be cleared; empty where it is not known.
        notice: is told, in a sentence or two, where the database goes away, from whichever thread.

    Raises:
        StoreError: the database cannot be reached or written.
    """

    def __init__(self, place: RepliesPlace, plan_id: str, handle: str = "", notice: Notice = _log.warning) -> None:
        self._plan = OpenPlan(secrets.token_hex(8), plan_id, handle)
        self._failure: str | None = None
        self._is_closed = False
        self._kept: dict[str, str] = {}
        self._costs: list[float] = []
        self._writer = Writer.share(place)
        try:
            self.lost = self._writer.open(self._plan, notice, self._load)
        except BaseException:
            self._writer.release()
            raise

    @property
    def kept_usd(self) -> float:
        """What the replies that are kept by now cost together, without those of which no price was known."""
        return math.fsum(self._costs)

    def find(self, key: str) -> Reply | None:
        """The reply kept under a key, if there is one that can be read."""
        if self._is_closed:
            raise StoreError(CLOSED)
        text = self._kept.get(key)
        found = None if text is None else parse_reply(text)
        return None if found is None else _make_reply(found)

    async def begin(self, bound_usd: float | None, limit: SharedLimit | None = None) -> int:
        """Notes that a call is about to be made, and what it may cost at most; None: nobody knows. Its number.

        Args:
            limit: what the call counts under, beside all others of its budget. Where there is no room for it, the end
                of the calls in flight is waited for, wherever they are made: they may cost less.

        Raises:
            SharedBudgetError: with this call more could be spent than the limit.
        """
        call = secrets.randbits(62)
        try:
            while isinstance(refused := await self._write(Begun(self._plan, call, bound_usd, limit)), Refused):
                assert limit is not None
                if refused.in_flight_usd <= 0.0:
                    raise SharedBudgetError(_explain(limit, refused, bound_usd or 0.0))
                await asyncio.sleep(ROOM_SECONDS)
        except asyncio.CancelledError:
            # The note will be written all the same, and the call never be made.
            self._writer.hand(Dropped(call))
            raise
        return call

    async def keep(self, key: str, reply: Reply, begun: int | None = None, asked: str | None = None) -> Reply:
        """Keeps a reply and returns the one that stands: the first, where two asked the same. Its call has ended.

        Args:
            asked: which embedded model gave it, by its endpoint's identity; None for a hosted one.
        """
        text = json.dumps(asdict(reply) | ({ASKED: asked} if asked else {}), ensure_ascii=False)
        cost_usd = None if reply.cost_usd is None else max(0.0, reply.cost_usd)
        standing = await self._write(Kept(self._plan, key, text, cost_usd, begun))
        if isinstance(standing, str):
            self._kept[key] = standing
            return _make_reply(parse_reply(standing) or {})
        self._kept[key] = text
        self._costs.append(cost_usd or 0.0)
        return reply

    async def drop(self, begun: int) -> None:
        """Notes that a call ended and cannot have been billed."""
        await self._write(Dropped(begun))

    def abandon(self, begun: int) -> None:
        """Notes that a call ended without a reply and may have been billed: it is lost. Nobody waits for the note."""
        self._writer.hand(Abandoned(begun))

    def close(self) -> None:
        """Returns when all that is being written is, or does not get any further; what was kept stays."""
        if not self._is_closed:
            self._is_closed = True
            self._writer.close(self._plan)
            self._writer.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _write(self, change: Change) -> Outcome:
        if refusal := CLOSED if self._is_closed else self._failure:
            raise StoreError(refusal)
        try:
            return await self._writer.write(change)
        except StoreError as error:
            self._failure = str(error)
            raise

    def _load(self, connection: Connection) -> Lost:
        """Reads what is kept. The lost calls come first: one whose reply is kept meanwhile counts twice, not never."""
        others = calls.c.opening.not_in(self._writer.list_openings())
        counts = select(func.count(), func.coalesce(func.sum(calls.c.bound_usd), 0.0), func.count(calls.c.bound_usd))
        mine = calls.c.plan_id == self._plan.plan_id
        [[count, bound_usd, priced]] = connection.execute(counts.where(mine, others)).all()
        kept = select(replies.c.key, replies.c.reply, replies.c.cost_usd).where(replies.c.plan_id == self._plan.plan_id)
        self._kept, self._costs = {}, []
        for key, text, cost_usd in connection.execute(kept):
            self._kept[key] = text
            self._costs.append(cost_usd or 0.0)
        return Lost(count, bound_usd, count - priced)


@asynccontextmanager
async def open_replies(
    place: RepliesPlace, plan_id: str, handle: str = "", notice: Notice = _log.warning
) -> AsyncIterator[ReplyStore]:
    """``ReplyStore``, opened and closed in a thread: an event loop, which may have many runs, does not wait for it."""
    opening = asyncio.ensure_future(asyncio.to_thread(ReplyStore, place, plan_id, handle, notice))
    try:
        kept = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A thread cannot be stopped: what it opens has to be closed.
        opening.add_done_callback(_close_opened)
        raise
    try:
        yield kept
    finally:
        await asyncio.shield(asyncio.to_thread(kept.close))


def _close_opened(opening: "asyncio.Future[ReplyStore]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _explain(limit: SharedLimit, refused: Refused, bound_usd: float) -> str:
    return (
        f"The backfill's limit of ${limit.max_usd:g} is reached: ${refused.committed_usd:.4f} of it is spent by all of "
        f"its parts, and the next call could cost ${bound_usd:.4f}. Start it again with a higher limit: it does only "
        "what is left, and the replies are kept and not paid twice"
    )


def _make_reply(found: Mapping[str, Any]) -> Reply:
    """A reply from its fields, beside which the identity of who was asked may stand."""
    return Reply(**{field.name: found[field.name] for field in fields(Reply) if field.name in found})
