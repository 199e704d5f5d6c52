"""Applies the rules to what a round has brought, and embeds it, while the rest of it is asked.

Nothing is decided by who answers first: a rule sees one text alone. Texts are held against one another when the round
is there.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from engine.domain.samples import Exemplar
from engine.selection.review import list_accepted_texts
from engine.selection.rounds import Rounds
from engine.system.worker_process import RunHeavy
from engine.text.embedding import embed_ahead
from engine.text.language import load_identifier

# A worker process embeds so many short texts in about .1 s, and others may wait for it.
EMBEDDED_AT_ONCE = 32


class ScreeningAhead:
    """Takes a round's cells as they come."""

    def __init__(self, rounds: Rounds, run_heavy: RunHeavy) -> None:
        self._rounds = rounds
        self._run_heavy = run_heavy
        self._made: asyncio.Queue[Sequence[Exemplar]] = asyncio.Queue()
        self._accepted: list[Exemplar] = []

    def take(self, made: Sequence[Exemplar]) -> None:
        """Takes the exemplars of a cell."""
        self._made.put_nowait(made)

    async def work(self) -> None:
        """Works until it is cancelled. Between two cells the calls in flight have their turn."""
        await asyncio.to_thread(load_identifier)
        while True:
            if self._made.empty():
                await self._embed(1)
            self._accepted += self._rounds.screener.apply_rules_ahead(await self._made.get())
            await self._embed(EMBEDDED_AT_ONCE)
            await asyncio.sleep(0)

    async def _embed(self, least: int) -> None:
        """Embeds what is accepted, where it is so many at least."""
        if len(self._accepted) < least:
            return
        accepted, self._accepted = self._accepted, []
        for texts in list_accepted_texts(self._rounds.plan.model, accepted):
            await embed_ahead(self._rounds.embedder, texts, self._run_heavy)


@asynccontextmanager
async def screening_ahead(rounds: Rounds, run_heavy: RunHeavy) -> AsyncIterator[ScreeningAhead]:
    """Works ahead inside the block; what is not done at its end is left to the step that screens."""
    ahead = ScreeningAhead(rounds, run_heavy)
    working = asyncio.create_task(ahead.work())
    try:
        yield ahead
    finally:
        working.cancel()
        # An error of the screening is raised again by the step that screens the rest.
        await asyncio.gather(working, return_exceptions=True)
