"""Keeps every finished reply of a plan on disk before it is used, so that no call is paid for twice."""

import asyncio
import itertools
import json
import logging
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.llm.request import Reply
from engine.replies.database import Begun, Change, Dropped, Kept, RepliesFile
from engine.replies.remote_plan import PlanStore
from engine.replies.remote_replies import SharedReplies
from engine.replies.segments import NOTHING
from engine.replies.tables import SHARED_TABLES, TABLES
from engine.replies.uploader import Notice
from engine.replies.writer import GroupWriter
from engine.settings import RepliesPlace

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lost:
    """Calls that had begun and of which nothing is known: they may have been billed, though no reply came.

    ``bound_usd`` is the most that they cost together, without the ``unpriced``.
    """

    calls: int = 0
    bound_usd: float = 0.0
    unpriced: int = 0


class ReplyStore:
    """The replies of one plan, in ``<cache_dir>/<plan_id>/replies.sqlite``; several processes may share it.

    A reply is synced to the disk when ``keep`` returns, the note that a call begins survives ``kill -9`` when ``begin``
    does. ``find`` and ``close`` need no event loop. Open it with ``with``; errors of the disk are ``StoreError``, and
    after one that came of writing, each later ``begin``, ``keep`` and ``drop`` raises it at once.

    ``lost`` are the calls of the plan that began and did not end, in openings that had ended when this one was made,
    and those that other machines may have made and of which no reply has come. They stay lost: every opening of the
    plan tells them, be it the second of one process.

    Where the place has a URI, what other machines have put there is kept here too when it is made, and what is kept
    goes there a little later, by the end of ``close`` at the latest. Both take as long as the store does.

    Args:
        handle: the model, by which the replies can be cleared; empty where it is not known.
        notice: is told, in a sentence or two, where the store cannot be written, from whichever thread.

    Raises:
        StoreError: the folder cannot be written, or the store cannot be read.
    """

    def __init__(self, place: RepliesPlace, plan_id: str, handle: str = "", notice: Notice = _log.warning) -> None:
        self._file = RepliesFile(Path(place.cache_dir) / plan_id, handle, SHARED_TABLES if place.uri else TABLES)
        self.path = self._file.path
        try:
            store = PlanStore(place.uri, plan_id, handle) if place.uri else None
            self._shared = SharedReplies(self._file, store, notice) if store else None
            self.lost = self._find_lost()
        except BaseException:
            self._file.close()
            raise
        # Other openings count too: each begins at a number of its own.
        self._numbers = itertools.count(secrets.randbits(30) << 32)
        self._writer: GroupWriter[Change, Mapping[str, Any] | None] = GroupWriter(self._commit)

    @property
    def kept_usd(self) -> float:
        """What the replies that are kept by now cost together, without those of which no price was known."""
        return self._file.sum_costs()

    def find(self, key: str) -> Reply | None:
        """The reply kept under a key, if there is one."""
        found = self._file.find(key)
        return None if found is None else _read_reply(found)

    async def begin(self, bound_usd: float | None) -> int:
        """Notes that a call is about to be made, and what it may cost at most; None: nobody knows. Its number."""
        if self._shared is not None:
            await self._shared.cover(bound_usd)
        number = next(self._numbers)
        try:
            await self._writer.write(Begun(number, bound_usd))
        except asyncio.CancelledError:
            # The note will be written all the same, and the call never be made.
            self._writer.hand(Dropped(number))
            raise
        return number

    async def keep(self, key: str, reply: Reply, begun: int | None = None) -> Reply:
        """Keeps a reply and returns the one that stands: the first, where two asked the same. Its call has ended."""
        text = json.dumps(asdict(reply), ensure_ascii=False)
        standing = await self._writer.write(Kept(key, text, begun))
        return reply if standing is None else _read_reply(standing)

    async def drop(self, begun: int) -> None:
        """Notes that a call ended and cannot have been billed."""
        await self._writer.write(Dropped(begun))

    def close(self) -> None:
        """Closes the file when all that is being written is; what was kept stays."""
        self._writer.close()
        if self._shared is not None:
            self._shared.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _find_lost(self) -> Lost:
        calls, bound_usd, unpriced = self._file.find_lost()
        elsewhere = self._shared.lost if self._shared else NOTHING
        return Lost(calls + elsewhere.calls, bound_usd + elsewhere.usd, unpriced)

    def _commit(self, changes: Sequence[Change]) -> Sequence[Mapping[str, Any] | None]:
        standing = self._file.write(changes)
        if self._shared is not None:
            self._shared.take(changes)
        return standing


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


def _read_reply(found: Mapping[str, Any]) -> Reply:
    """A reply from its fields; those that a newer version has added are left out.

    An earlier version kept negative counts and costs as a provider told them; they count as not told.
    """
    kept = {field.name: found[field.name] for field in fields(Reply) if field.name in found}
    told = {name: 0 for name, value in kept.items() if isinstance(value, int | float) and value < 0}
    return Reply(**kept | told)
