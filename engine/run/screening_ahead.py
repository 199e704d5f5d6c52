"""Applies the rules to what a round has brought while the rest of it is asked.

Nothing is decided by who answers first: a rule sees one text alone. Texts are held against one another when the round
is there. They are embedded then too: a vector's last digits depend on the texts beside it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from engine.domain.samples import Exemplar
from engine.screening.screener import Screener
from engine.text.language import load_identifier


class ScreeningAhead:
    """Takes a round's cells as they come."""

    def __init__(self, screener: Screener) -> None:
        self._screener = screener
        self._made: asyncio.Queue[Sequence[Exemplar]] = asyncio.Queue()

    def take(self, made: Sequence[Exemplar]) -> None:
        """Takes the exemplars of a cell."""
        self._made.put_nowait(made)

    async def work(self) -> None:
        """Works until it is cancelled. Between two cells the calls in flight have their turn."""
        await asyncio.to_thread(load_identifier)
        while True:
            self._screener.apply_rules_ahead(await self._made.get())
            await asyncio.sleep(0)


@asynccontextmanager
async def screening_ahead(screener: Screener) -> AsyncIterator[ScreeningAhead]:
    """Works ahead inside the block; what is not done at its end is left to the step that screens."""
    ahead = ScreeningAhead(screener)
    working = asyncio.create_task(ahead.work())
    try:
        yield ahead
    finally:
        working.cancel()
        # An error of the screening is raised again by the step that screens the rest.
        await asyncio.gather(working, return_exceptions=True)
