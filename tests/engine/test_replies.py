"""Kept replies are whole after a kill, a full disk and a damaged file, whoever else keeps some at the same time."""

import asyncio
import json
import os
import random
import sqlite3
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.plan_folder import USERS
from engine.replies import KeptReplies, Lost, Reply

PLAN = "plan-1"
REPLY = Reply("one", "stop", prompt_tokens=7, completion_tokens=3, cost_usd=0.01, odds={"good": -0.5})
OTHER = Reply("two", "stop")
ROUNDS = int(os.environ.get("ROUNDS", "6"))
# Long enough that some rows take more than a page.
LENGTHS = (10, 300, 900, 2_000, 9_000)


def make_reply(key: str) -> Reply:
    """The reply that every test keeps under a key."""
    rng = random.Random(key)
    return Reply(f"{key}: " + "naïve “text” 🔑 " * (rng.choice(LENGTHS) // 15), "stop", rng.randrange(999), 5, 0.001)


async def keep_all(folder: Path, keys: list[str]) -> None:
    with KeptReplies(str(folder), PLAN, "u22a8.toolshed") as kept:
        await asyncio.gather(*(kept.keep(key, make_reply(key)) for key in keys))


def find_all(folder: Path, keys: list[str]) -> dict[str, Reply]:
    with KeptReplies(str(folder), PLAN) as kept:
        return {key: reply for key in keys if (reply := kept.find(key)) is not None}


def read_lost(folder: Path) -> Lost:
    with KeptReplies(str(folder), PLAN) as kept:
        return kept.lost


async def test_kept_reply_comes_back_whole_and_the_first_of_its_key_stands(tmp_path: Path) -> None:
    reply = Reply("naïve “text” 🔑\n\x00", "stop", 1, 2, 0.1, {" good": -0.25, "bad": -1.5}, 40, "openai/other")
    with KeptReplies(str(tmp_path), PLAN) as kept:
        assert None is kept.find("key")
        assert reply == await kept.keep("key", reply)
        assert reply == await kept.keep("key", REPLY)
        assert reply == kept.find("key")
    with KeptReplies(str(tmp_path), PLAN) as kept:
        assert reply == kept.find("key")


async def test_replies_kept_at_once_are_each_there(tmp_path: Path) -> None:
    keys = [str(number) for number in range(500)]
    await keep_all(tmp_path, keys)

    assert {key: make_reply(key) for key in keys} == find_all(tmp_path, keys)


async def test_reply_is_there_for_another_reader_when_it_is_kept(tmp_path: Path) -> None:
    with KeptReplies(str(tmp_path), PLAN) as kept:
        await kept.keep("key", REPLY)

        assert {"key": REPLY} == find_all(tmp_path, ["key"])


async def test_two_openings_of_one_plan_agree_on_the_first_reply(tmp_path: Path) -> None:
    keys = [str(number) for number in range(100)]
    with KeptReplies(str(tmp_path), PLAN) as one, KeptReplies(str(tmp_path), PLAN) as other:
        pairs = await asyncio.gather(
            *(asyncio.gather(one.keep(key, REPLY), other.keep(key, OTHER)) for key in keys),
        )
        found = [(one.find(key), other.find(key)) for key in keys]

    assert [(first, first) for first, _ in found] == found
    assert [list(pair) for pair in found] == [list(pair) for pair in pairs]


def test_reply_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / PLAN).mkdir()
    with closing(sqlite3.connect(tmp_path / PLAN / "replies.sqlite", isolation_level=None)) as old:
        old.execute("PRAGMA journal_mode=WAL")
        old.execute("CREATE TABLE replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")
        fields = {name: value for name, value in asdict(REPLY).items() if name not in {"cached_tokens", "model"}}
        old.execute("INSERT INTO replies VALUES ('key', ?)", (json.dumps(fields),))

    assert {"key": REPLY} == find_all(tmp_path, ["key"])


async def test_fields_of_a_newer_version_are_left_out(tmp_path: Path) -> None:
    await put_text(tmp_path, json.dumps(asdict(REPLY) | {"mood": "good"}).encode())

    assert {"key": REPLY} == find_all(tmp_path, ["key"])


async def put_text(folder: Path, text: bytes) -> None:
    """Keeps a reply and writes something else in its place."""
    with KeptReplies(str(folder), PLAN) as kept:
        await kept.keep("key", OTHER)
        with closing(sqlite3.connect(kept.path, isolation_level=None)) as connection:
            connection.execute("UPDATE replies SET reply = CAST(? AS TEXT)", (text,))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"text": "one"}', b'{"text": 1, "finish": "stop"}', b'"\xff"'])
async def test_reply_that_cannot_be_read_is_none_and_gives_way(tmp_path: Path, text: bytes) -> None:
    await put_text(tmp_path, text)
    with KeptReplies(str(tmp_path), PLAN) as kept:
        assert None is kept.find("key")
        assert REPLY == await kept.keep("key", REPLY)
        assert REPLY == kept.find("key")


async def test_call_that_ended_is_not_lost(tmp_path: Path) -> None:
    with KeptReplies(str(tmp_path), PLAN) as kept:
        await kept.keep("key", REPLY, await kept.begin(0.5))
        await kept.keep("key", OTHER, await kept.begin(0.5))
        await kept.drop(await kept.begin(None))

    assert Lost() == read_lost(tmp_path)


async def test_call_that_did_not_end_is_lost_for_every_later_opening(tmp_path: Path) -> None:
    with KeptReplies(str(tmp_path), PLAN) as kept:
        for bound_usd in (0.5, None, 0.25, 1.0):
            await kept.begin(bound_usd)
        assert Lost() == kept.lost

    assert [Lost(4, 1.75, 1)] * 2 == [read_lost(tmp_path) for _ in range(2)]


async def test_call_in_flight_elsewhere_is_not_lost(tmp_path: Path) -> None:
    with KeptReplies(str(tmp_path), PLAN) as kept:
        begun = await kept.begin(0.5)
        assert Lost() == read_lost(tmp_path)
        await kept.keep("key", REPLY, begun)

    assert Lost() == read_lost(tmp_path)


async def test_call_that_is_given_up_before_it_is_noted_is_not_lost(tmp_path: Path) -> None:
    with KeptReplies(str(tmp_path), PLAN) as kept:
        for pauses in range(4):
            tasks = [asyncio.ensure_future(kept.begin(0.5)) for _ in range(20)]
            for _ in range(pauses):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            for number in ended:
                if isinstance(number, int):
                    await kept.drop(number)

    assert Lost() == read_lost(tmp_path)


async def test_reply_whose_keeping_was_cancelled_is_kept(tmp_path: Path) -> None:
    with KeptReplies(str(tmp_path), PLAN) as kept:
        task = asyncio.ensure_future(kept.keep("key", REPLY))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert {"key": REPLY} == find_all(tmp_path, ["key"])


async def test_nothing_is_kept_or_found_once_it_is_closed(tmp_path: Path) -> None:
    with KeptReplies(str(tmp_path), PLAN) as kept:
        pass
    with pytest.raises(StoreError, match="closed"):
        await kept.keep("key", REPLY)
    with pytest.raises(StoreError, match="closed"):
        kept.find("key")

    assert [] == list((tmp_path / PLAN / USERS).iterdir())
