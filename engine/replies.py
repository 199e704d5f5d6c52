"""Kept replies: every finished reply of a plan on disk, before anything is made of it, so that none is paid twice."""

import asyncio
import itertools
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.group_writer import GroupWriter
from engine.replies_file import Begun, Change, Dropped, Kept, RepliesFile


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered. ``finish`` is the provider's word (``stop``, ``length``, ``content_filter``).

    ``odds`` maps the likeliest next tokens to their log probabilities, where they were asked for. ``cost_usd`` is None
    where the price is not known. ``cached_tokens`` are those of the prompt that the provider had read before; ``model``
    is the one that answered, where it is not the one that was asked.
    """

    text: str
    finish: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    odds: dict[str, float] | None = None
    cached_tokens: int = 0
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """Calls that had begun and of which nothing is known: they may have been billed, though no reply came.

    ``bound_usd`` is the most that they cost together, without the ``unpriced``.
    """

    calls: int = 0
    bound_usd: float = 0.0
    unpriced: int = 0


class KeptReplies:
    """The replies of one plan, in ``<cache>/<plan_id>/replies.sqlite``; several processes may share it.

    A reply is synced to the disk when ``keep`` returns, the note that a call begins survives ``kill -9`` when ``begin``
    does. ``find`` and ``close`` need no event loop. Open it with ``with``; errors of the disk are ``StoreError``, and
    after one that came of writing, each later ``begin``, ``keep`` and ``drop`` raises it at once.

    Args:
        handle: the model, by which the replies can be cleared; empty where it is not known.
    """

    def __init__(self, cache_dir: str, plan_id: str, handle: str = "") -> None:
        self._file = RepliesFile(Path(cache_dir) / plan_id, handle)
        self.path = self._file.path
        # Other openings count too: each begins at a number of its own.
        self._numbers = itertools.count(secrets.randbits(30) << 32)
        self._writer: GroupWriter[Change, Mapping[str, Any] | None] = GroupWriter(self._file.write)

    @property
    def lost(self) -> Lost:
        """The calls of this plan that began and did not end, in openings that had ended when this one was made.

        They stay lost: every opening of the plan tells them, be it the second of one process.
        """
        return Lost(*self._file.lost)

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
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_reply(found: Mapping[str, Any]) -> Reply:
    """A reply from its fields; those that a newer version has added are left out."""
    return Reply(**{field.name: found[field.name] for field in fields(Reply) if field.name in found})
