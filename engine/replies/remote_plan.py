"""Reads and writes a plan's folder on the store: segments of replies, reserved costs, and the time of last use.

::

    <uri>/plan=<plan id>/handle=<handle>/<opening>-<number>-<replies>.jsonl.zst  a segment (engine/replies/segments.py)
                                         <opening>-<calls>-<usd>.begun           empty: what its calls may cost
                                         <opening>.used                          empty: when an old plan was opened

What is read of a file that is written over meanwhile may be half of each: none ever is, but ``used``, which is empty.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from pyarrow import fs

from engine.errors import StoreError
from engine.replies.segments import Amount, read_token
from engine.system.filesystem import list_below, open_folder, write_whole

PLAN, HANDLE = "plan=", "handle="
# No model's handle: those have a dot.
UNKNOWN = "unknown"
_BEGUN = re.compile(r"(?P<token>[0-9a-f]{16})-(?P<calls>[0-9]+)-(?P<usd>[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?)\.begun")
FAILURES = (OSError, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is there of a plan: the sizes of its segments by name, in the order in which they were put; the most that
    the calls of each opening may cost; when it was last used, None where there is nothing."""

    segments: Mapping[str, int]
    begun: Mapping[str, Amount]
    used_at: datetime | None


class PlanStore:
    """The folder of one plan on a store that all machines share.

    Raises:
        StoreError: the store cannot be opened, listed or read.
    """

    def __init__(self, uri: str, plan_id: str, handle: str) -> None:
        self.uri = uri
        self.plan_id = plan_id
        self.handle = handle or UNKNOWN
        self._filesystem, root = open_folder(uri)
        self._folder = f"{root.rstrip('/')}/{PLAN}{plan_id}"
        self._places: dict[str, str] = {}

    def list(self) -> Listing:
        """What is there, with one request."""
        try:
            infos = [info for info in list_below(self._filesystem, self._folder, True) if info.type == fs.FileType.File]
        except FAILURES as error:
            raise _explain(self.uri, error) from error
        infos.sort(key=lambda info: (info.mtime, info.base_name))
        self._places = {info.base_name: info.path for info in infos}
        segments = {info.base_name: info.size for info in infos if read_token(info.base_name)}
        return Listing(segments, _read_begun(self._places), infos[-1].mtime.astimezone(UTC) if infos else None)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file that was listed; None where it has gone since."""
        try:
            with self._filesystem.open_input_file(self._places[name]) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None
        except FAILURES as error:
            raise _explain(self.uri, error) from error

    def put(self, name: str, content: bytes) -> None:
        """Puts a file, whole or not at all.

        Raises:
            OSError, pa.ArrowException: it cannot be written.
        """
        write_whole(self._filesystem, f"{self._folder}/{HANDLE}{self.handle}/{name}", content)

    def put_begun(self, token: str, amount: Amount) -> None:
        """Says what the calls of an opening may cost, with those of which it has said so before; see ``put``."""
        self.put(f"{token}-{amount.calls}-{amount.usd!r}.begun", b"")

    def touch(self, token: str) -> None:
        """Says that the plan is used now; see ``put``."""
        self.put(f"{token}.used", b"")


def _read_begun(names: Iterable[str]) -> dict[str, Amount]:
    """The largest amount of each opening: the last."""
    begun: dict[str, Amount] = {}
    for found in filter(None, map(_BEGUN.fullmatch, names)):
        amount = Amount(int(found["calls"]), float(found["usd"]))
        begun[found["token"]] = max(begun.get(found["token"], amount), amount, key=lambda item: item.usd)
    return begun


def _explain(uri: str, error: Exception) -> StoreError:
    return StoreError(
        f"The kept replies on {uri} cannot be read: {error}. Let the store be reached and read, or unset "
        "EXEMPLARS_REPLIES_URI: then what other machines have kept is asked for, and paid, again"
    )
