"""Kept replies are whole after a kill and a full disk, whoever else keeps some at the same time."""

import asyncio
import fcntl
import os
import random
from pathlib import Path

import pytest
from fakes.long import choose, longer
from fakes.reply_tables import place_in
from fakes.reply_writer import PLAN, WRITERS, kill_after, make_reply, read_begun, read_kept, start_writer
from fakes.workspace import mount_disk

from engine.errors import StoreError
from engine.llm.client.request import Reply
from engine.llm.replies.replies import ReplyStore, UnconfirmedCalls
from engine.settings import REPLIES_FILE, DatabaseUrl

REPLY = Reply("one", "stop", prompt_tokens=7, completion_tokens=3, cost_usd=0.01, odds={"good": -0.5})
OTHER = Reply("two", "stop")
ROUNDS = choose(once=1, at_length=100)


def find_all(place: DatabaseUrl, keys: list[str]) -> dict[str, Reply]:
    with ReplyStore(place, PLAN) as kept:
        return {key: reply for key in keys if (reply := kept.find(key)) is not None}


def read_lost(place: DatabaseUrl) -> UnconfirmedCalls:
    with ReplyStore(place, PLAN) as kept:
        return kept.lost


async def test_kept_reply_comes_back_whole_and_the_first_of_its_key_stands(place: DatabaseUrl) -> None:
    reply = Reply("naïve “text” 🔑\n\x00", "stop", 1, 2, 0.1, {" good": -0.25, "bad": -1.5}, 40)
    with ReplyStore(place, PLAN) as kept:
        assert None is kept.find("key")
        assert reply == await kept.keep("key", reply)
        assert reply == await kept.keep("key", REPLY)
        assert reply == kept.find("key")
        assert {"key": reply} == find_all(place, ["key"])
    assert {"key": reply} == find_all(place, ["key"])


async def test_costs_of_kept_replies_are_summed_without_those_that_have_no_price(place: DatabaseUrl) -> None:
    with ReplyStore(place, PLAN) as kept:
        for key, cost_usd in (("a", 0.25), ("b", None), ("c", 0.5)):
            await kept.keep(key, Reply("one", "stop", cost_usd=cost_usd), await kept.begin(1.0))
    with ReplyStore(place, PLAN) as kept:
        assert (0.75, UnconfirmedCalls()) == (kept.kept_usd, kept.lost)


async def test_call_that_did_not_end_is_lost_for_every_later_opening(place: DatabaseUrl) -> None:
    with ReplyStore(place, PLAN) as kept:
        begun = await kept.begin(0.5)
        # One in flight elsewhere is not lost, nor is one that has ended.
        assert UnconfirmedCalls() == read_lost(place)
        await kept.keep("key", REPLY, begun)
        await kept.keep("key", OTHER, await kept.begin(0.5))
        await kept.drop(await kept.begin(None))
    assert UnconfirmedCalls() == read_lost(place)

    with ReplyStore(place, PLAN) as kept:
        kept.abandon(await kept.begin(0.5))
        # Its note is kept before this one.
        await kept.drop(await kept.begin(0.25))
        assert UnconfirmedCalls(1, 0.5) == read_lost(place)
        for ceiling_usd in (None, 0.25, 1.0):
            await kept.begin(ceiling_usd)
        assert UnconfirmedCalls() == kept.lost
    assert [UnconfirmedCalls(4, 1.75)] * 2 == [read_lost(place) for _ in range(2)]


async def test_call_that_is_given_up_before_it_is_noted_is_not_lost(place: DatabaseUrl) -> None:
    with ReplyStore(place, PLAN) as kept:
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

    assert UnconfirmedCalls() == read_lost(place)


@longer
def test_what_was_kept_outlives_a_kill_and_what_was_in_flight_is_lost(place: DatabaseUrl) -> None:
    rng = random.Random(20261126)
    before = UnconfirmedCalls()
    for number in range(ROUNDS):
        said = kill_after(start_writer(place, f"{number}-"), rng.randrange(1, 600))
        begun, kept = read_begun(said), read_kept(said)
        found = find_all(place, begun)
        lost = read_lost(place)

        assert {key: make_reply(key) for key in kept} == {key: found.get(key) for key in kept}
        assert all(make_reply(key) == reply for key, reply in found.items())
        assert len(set(begun) - set(found)) <= lost.calls - before.calls <= WRITERS
        assert lost.calls == lost.ceiling_usd
        before = lost


async def test_who_writes_waits_for_another_who_does(tmp_path: Path) -> None:
    with ReplyStore(place_in(tmp_path), PLAN) as kept:
        other = os.open(tmp_path / f"{REPLIES_FILE}.lock", os.O_RDWR)
        fcntl.flock(other, fcntl.LOCK_EX)
        keeping = asyncio.create_task(kept.keep("key", REPLY))
        await asyncio.sleep(0.1)
        is_kept = keeping.done()
        os.close(other)

        assert (False, REPLY) == (is_kept, await keeping)


def test_full_disk_is_an_error_and_what_was_kept_before_stays(tmp_path: Path) -> None:
    with mount_disk(tmp_path / "disk", "size=1m") as disk:
        asyncio.run(check_full(disk))


async def check_full(disk: Path) -> None:
    place = place_in(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(b"\0" * 100_000)
    told: list[str] = []

    async def write(kept: ReplyStore, writer: int) -> None:
        for number in range(writer, 4_000, WRITERS):
            await kept.keep(str(number), make_reply(str(number)), await kept.begin(0.5))
            told.append(str(number))

    with ReplyStore(place, PLAN) as kept:
        ended = await asyncio.gather(*(write(kept, writer) for writer in range(WRITERS)), return_exceptions=True)
        assert {StoreError} == {type(error) for error in ended}
        [words] = {str(error) for error in ended}
        assert all(part in words for part in ("full", "EXEMPLARS_CACHE_DIR", "Free space"))
        with pytest.raises(StoreError, match="full"):
            await kept.begin(0.5)
        with pytest.raises(StoreError, match="full"):
            await kept.keep("other", REPLY)
    ballast.unlink()
    assert len(told) > 20
    assert {key: make_reply(key) for key in told} == find_all(place, told)


async def test_reply_that_was_paid_for_twice_counts_twice_and_the_first_stands(place: DatabaseUrl) -> None:
    with ReplyStore(place, PLAN) as one, ReplyStore(place, PLAN) as other:
        # The second time with another reply, the third time with the same.
        for kept, text, cost_usd in ((one, "one", 0.5), (other, "two", 0.25), (one, "one", 0.5)):
            begun = await kept.begin(1.0)
            assert "one" == (await kept.keep("a", Reply(text, "stop", cost_usd=cost_usd), begun)).text
        pairs = [await asyncio.gather(one.keep(key, OTHER), other.keep(key, Reply("three", "stop"))) for key in "bcd"]
        assert all(pair[0] == pair[1] for pair in pairs)
    with ReplyStore(place, PLAN) as kept:
        assert (1.25, UnconfirmedCalls()) == (kept.kept_usd, kept.lost)
