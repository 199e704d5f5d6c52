"""Shares a plan's kept replies between machines: reads those of others from the store, and uploads its own."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from engine.replies.database import Begun, Change, Dropped, Kept, RepliesFile
from engine.replies.journal import JournalSegments
from engine.replies.remote_plan import Listing, PlanStore
from engine.replies.segments import (
    NOTHING,
    Account,
    Amount,
    BrokenSegmentError,
    Segment,
    read_token,
    sum_amounts,
    unpack_segment,
)
from engine.replies.uploader import TOUCH_SECONDS, Notice, Uploader

# A segment takes a store some 20 ms, most of which is waiting.
READERS = 8


class SharedReplies:
    """A plan's replies on the store, beside the journal of one opening; made where the journal is open, closed before.

    ``lost`` is what calls of other machines may have cost of which no reply has come here: see ``sum_lost``.

    Raises:
        StoreError: the store cannot be listed or read. That it cannot be written is told, and no error.
    """

    def __init__(self, file: RepliesFile, store: PlanStore, notice: Notice) -> None:
        self._journal = JournalSegments(file, store.uri)
        self._store = store
        self._notice = notice
        # What the calls that are in flight may cost; the thread that writes to the journal has them.
        self._bounds: dict[int, Amount] = {}
        listing = store.list()
        self._take_in(listing)
        self.lost = self._find_lost(listing)
        is_stale = listing.used_at is not None and listing.used_at < datetime.now(UTC) - timedelta(
            seconds=TOUCH_SECONDS
        )
        self._uploader = Uploader(self._journal, store, notice, file.path, self._journal.list_unsent(), is_stale)

    async def cover(self, bound_usd: float | None) -> None:
        """Returns when a call that costs so much at most may begin; see ``Uploader.cover``."""
        if bound_usd:
            await self._uploader.cover(bound_usd)

    def take(self, changes: Sequence[Change]) -> None:
        """Takes up what has been written to the journal."""
        for change in changes:
            match change:
                case Begun(number, bound_usd):
                    self._bounds[number] = Amount(1, bound_usd) if bound_usd else NOTHING
                case Dropped(number):
                    self._uploader.settle(self._bounds.pop(number, NOTHING))
                case Kept(key, _, begun):
                    self._uploader.keep(key, self._bounds.pop(begun, NOTHING) if begun is not None else NOTHING)

    def close(self) -> None:
        """Returns when all that is kept is on the store, or it is told that it is not."""
        self._uploader.close()

    def _take_in(self, listing: Listing) -> None:
        """Keeps what segments have that were not here yet."""
        broken = []
        names = self._journal.settle(listing.segments)
        with ThreadPoolExecutor(READERS, "segments") as pool:
            for name, segment in zip(names, pool.map(self._read, names), strict=True):
                if isinstance(segment, Segment):
                    self._journal.take_in(name, listing.segments[name], segment)
                elif segment:
                    broken.append(f"{name} ({segment})")
        if broken:
            self._notice(
                f"Of plan {self._store.plan_id} on {self._store.uri}, what cannot be read is passed over, and its "
                f"replies are asked for again where no other machine has them: {', '.join(broken)}"
            )

    def _read(self, name: str) -> Segment | str:
        """A segment, or what is wrong with it; empty where it has gone."""
        content = self._store.read(name)
        if content is None:
            return ""
        try:
            segment = unpack_segment(content)
        except BrokenSegmentError as error:
            return str(error)
        return segment if segment.plan_id == self._store.plan_id else f"it is of plan {segment.plan_id}"

    def _find_lost(self, listing: Listing) -> Amount:
        here, accounts = self._journal.list_openings() | {self._journal.token}, self._journal.list_accounts()
        closed = {token for account in accounts.values() for token in account.closed}
        said = {token: amount for token, amount in listing.begun.items() if token not in closed | here}
        return sum_lost(accounts, said, here)


def sum_lost(accounts: Mapping[str, Account], said: Mapping[str, Amount], here: set[str]) -> Amount:
    """What calls may have cost that began on other machines and of which no reply has come.

    Of an opening that is closed it is what that left open; of one that is not, what it has said that its calls may
    cost, without what its segments have settled.

    Args:
        accounts: what the segments say, by their names.
        said: what the openings have said that are not closed.
        here: the openings whose calls are in the journal, which knows better.
    """
    closed = {token: amount for account in accounts.values() for token, amount in account.closed.items()}
    left = [amount for token, amount in closed.items() if token not in here]
    for token, amount in said.items():
        left.append(
            amount.less(sum_amounts(item.settled for name, item in accounts.items() if read_token(name) == token))
        )
    return sum_amounts(left)
