"""The first replies of a round: where none of them can be read, a third call for a cell would only be paid for."""

import asyncio
from collections.abc import Sequence

from engine.asking.plan import Cell

# A weak model cuts 15 % of its replies: as many as this are all rejected for such a reason once in four million rounds
# by chance.
MIN_HOPELESS = 8


class FirstReplies:
    """Whether any of the first replies of a round can be read: the first two to each of its first cells.

    They are the first in cell order, so what is asked does not depend on which reply comes first. In a round of fewer
    cells than ``MIN_HOPELESS`` they say nothing, and count as readable.

    ``is_any_read`` says whether one has been read so far.

    Args:
        cells: those of the round, in their order.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._pending = {cell.id for cell in cells[:MIN_HOPELESS]}
        self.is_any_read = len(self._pending) < MIN_HOPELESS
        self._decided = asyncio.Event()
        self._decide()

    def note(self, cell: Cell, is_readable: bool) -> None:
        """Counts a cell when its first or second reply can be read, or neither can or comes."""
        if cell.id in self._pending:
            self._pending.remove(cell.id)
            self.is_any_read |= is_readable
            self._decide()

    async def are_readable(self) -> bool:
        """Waits until one of them was read, or none can be any more; returns which."""
        await self._decided.wait()
        return self.is_any_read

    def _decide(self) -> None:
        if self.is_any_read or not self._pending:
            self._decided.set()
