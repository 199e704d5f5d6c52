"""A segment says all that is in it, and one that is torn, altered or something else is told from a whole one."""

import json

import pyarrow as pa
import pytest

from engine.replies.segments import (
    Account,
    Amount,
    BrokenSegmentError,
    Segment,
    name_segment,
    pack_segment,
    read_count,
    read_token,
    unpack_segment,
)

TOKEN = "0123456789abcdef"
REPLIES = tuple(
    (
        f"key-{number}",
        json.dumps(
            {"text": f"{number}: naïve “text” 🔑\n\r\u2028", "finish": "stop", "odds": {"a": -0.5}}, ensure_ascii=False
        ),
    )
    for number in range(9)
)
SEGMENT = Segment("plan", "u22a8.toolshed", REPLIES, Account(Amount(3, 0.25), {TOKEN: Amount(1, 0.1)}))


def pack_lines(*lines: object) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write("".join(f"{json.dumps(line)}\n" for line in lines).encode())
    return bytes(packed.getvalue())


def test_segment_comes_back_as_it_was() -> None:
    assert SEGMENT == unpack_segment(pack_segment(SEGMENT))


def test_segment_of_an_account_alone_comes_back() -> None:
    segment = Segment("plan", "unknown", (), Account(closed={TOKEN: Amount()}))

    assert segment == unpack_segment(pack_segment(segment))


def test_same_segment_has_the_same_bytes() -> None:
    assert pack_segment(SEGMENT) == pack_segment(SEGMENT)


def test_head_says_what_is_in_it() -> None:
    with pa.CompressedInputStream(pa.BufferReader(pack_segment(SEGMENT)), "zstd") as stream:
        seal, head = map(json.loads, stream.read().split(b"\n")[:2])

    assert ("exemplars-replies", 1) == (seal["format"], seal["version"])
    assert ("plan", "u22a8.toolshed", 9) == (head["plan_id"], head["handle"], head["replies"])


def test_segment_that_is_torn_at_any_place_is_told() -> None:
    content = pack_segment(SEGMENT)
    for length in range(len(content)):
        with pytest.raises(BrokenSegmentError):
            unpack_segment(content[:length])


def test_segment_with_a_flipped_bit_is_told_or_the_same() -> None:
    content = pack_segment(SEGMENT)
    told = 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1
        try:
            assert SEGMENT == unpack_segment(bytes(flipped))
        except BrokenSegmentError:
            told += 1

    assert told > 0.9 * len(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no segment",
        pack_lines(),
        pack_lines([]),
        pack_lines({"format": "exemplars-replies"}),
        pack_lines({"format": "exemplars-replies", "version": 2}),
        pack_lines({"format": "exemplars-replies", "version": 1, "sha256": "0"}),
    ],
)
def test_what_is_no_segment_is_told(content: bytes) -> None:
    with pytest.raises(BrokenSegmentError):
        unpack_segment(content)


def test_name_has_the_opening_and_how_many_replies() -> None:
    name = name_segment(TOKEN, 7, 64)

    assert (f"{TOKEN}-000007-64.jsonl.zst", TOKEN, 64) == (name, read_token(name), read_count(name))
    assert [(None, 0)] * 2 == [(read_token(other), read_count(other)) for other in (f"{TOKEN}.used", f".{name}.1")]
