"""The format of a segment: a file, never changed, with the replies that a machine has kept since its last segment.

It is JSON lines in zstd. The first line has the SHA-256 of all that comes after it, the second is the head::

    {"format": "exemplars-replies", "version": 1, "sha256": …}
    {"plan_id": …, "handle": …, "replies": 2, "settled": {"calls": 2, "usd": 0.004}, "closed": {}}
    {"key": …, "reply": {"text": …, "finish": "stop", …}}
    {"key": …, "reply": {…}}

Its name is ``<opening>-<number>-<replies>.jsonl.zst``, where the opening is a random token: no two have one name.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from engine.replies.tables import parse_reply

FORMAT, VERSION = "exemplars-replies", 1
_NAME = re.compile(r"(?P<token>[0-9a-f]{16})-(?P<number>[0-9]+)-(?P<replies>[0-9]+)\.jsonl\.zst")


class BrokenSegmentError(Exception):
    """A file that is torn, altered or no segment; the message says which."""


@dataclass(frozen=True, slots=True)
class Amount:
    """So many calls, and the most that they cost together."""

    calls: int = 0
    usd: float = 0.0

    def plus(self, other: "Amount") -> "Amount":
        """Both together."""
        return Amount(self.calls + other.calls, self.usd + other.usd)

    def less(self, other: "Amount") -> "Amount":
        """What is left of it without the other; never below nothing."""
        return Amount(max(0, self.calls - other.calls), max(0.0, self.usd - other.usd))


NOTHING = Amount()


@dataclass(frozen=True, slots=True)
class Account:
    """What a segment says of calls: those of its opening that have ended and are ``settled`` by it, and what openings
    that are ``closed`` have left open for good, by token."""

    settled: Amount = NOTHING
    closed: Mapping[str, Amount] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Segment:
    """``replies`` are pairs of a key and a reply's JSON."""

    plan_id: str
    handle: str
    replies: Sequence[tuple[str, str]]
    account: Account = Account()


def name_segment(token: str, number: int, replies: int) -> str:
    """The name of an opening's segment."""
    return f"{token}-{number:06}-{replies}.jsonl.zst"


def read_token(name: str) -> str | None:
    """The opening that a segment is of; None where it is no segment's name."""
    found = _NAME.fullmatch(name)
    return found["token"] if found else None


def read_count(name: str) -> int:
    """How many replies a segment has, by its name; 0 where it is no segment's."""
    found = _NAME.fullmatch(name)
    return int(found["replies"]) if found else 0


def sum_amounts(amounts: Iterable[Amount]) -> Amount:
    """All of them together."""
    total = NOTHING
    for amount in amounts:
        total = total.plus(amount)
    return total


def dump_account(account: Account) -> str:
    """An account as JSON."""
    return json.dumps(asdict(account), sort_keys=True)


def load_account(text: str) -> Account:
    """An account from its JSON.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    return _make_account(json.loads(text))


def pack_segment(segment: Segment) -> bytes:
    """The bytes of a segment."""
    about = {"plan_id": segment.plan_id, "handle": segment.handle, "replies": len(segment.replies)}
    lines = [json.dumps(about | asdict(segment.account))]
    lines += [f'{{"key": {json.dumps(key)}, "reply": {reply}}}' for key, reply in segment.replies]
    body = "".join(f"{line}\n" for line in lines).encode()
    seal = {"format": FORMAT, "version": VERSION, "sha256": hashlib.sha256(body).hexdigest()}
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(json.dumps(seal).encode() + b"\n" + body)
    return bytes(packed.getvalue())


def unpack_segment(content: bytes) -> Segment:
    """The segment that some bytes are.

    Raises:
        BrokenSegmentError: they are none, or not all of one.
    """
    try:
        with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
            first, _, body = stream.read().partition(b"\n")
        seal = json.loads(first)
        if (seal["format"], seal["version"]) != (FORMAT, VERSION):
            raise BrokenSegmentError(f"its format is {seal['format']} {seal['version']}")
        if seal["sha256"] != hashlib.sha256(body).hexdigest():
            raise BrokenSegmentError("its checksum does not match")
        head, *lines = body.splitlines()
        about = json.loads(head)
        return Segment(about["plan_id"], about["handle"], tuple(map(_read_line, lines)), _make_account(about))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise BrokenSegmentError(f"it is truncated or not a segment: {error}") from error


def _read_line(line: bytes) -> tuple[str, str]:
    fields = json.loads(line)
    reply = json.dumps(fields["reply"], ensure_ascii=False)
    if parse_reply(reply) is None:
        raise ValueError("a reply without its text")
    return fields["key"], reply


def _make_account(fields: Mapping[str, Mapping[str, object]]) -> Account:
    closed = {token: _make_amount(amount) for token, amount in fields["closed"].items()}
    return Account(_make_amount(fields["settled"]), closed)


def _make_amount(fields: object) -> Amount:
    assert isinstance(fields, Mapping)
    return Amount(int(fields["calls"]), float(fields["usd"]))
