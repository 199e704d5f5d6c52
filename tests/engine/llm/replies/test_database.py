"""A database that is away, damaged, newer, or replaced: nothing that was kept is lost, and it is said what to do."""

import asyncio
import logging
import queue
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.gate import Gate
from fakes.postgres import Databases
from fakes.reply_tables import run_sql
from fakes.reply_writer import PLAN, make_reply
from sqlalchemy import create_engine, select

from engine.errors import SharedBudgetError, StoreError
from engine.llm.client.request import Reply
from engine.llm.replies.admin import clear_cache, list_cache
from engine.llm.replies.changes import DEAD_SECONDS, Begun, OpenPlan, SharedLimit, apply_changes
from engine.llm.replies.replies import ReplyStore
from engine.llm.replies.tables import SCHEMA, budgets, metadata
from engine.settings import RepliesPlace

REPLY = Reply("one", "stop", cost_usd=0.01)


@pytest.fixture
def gate(postgres: Databases) -> Iterator[Gate]:
    with closing(Gate(postgres.port)) as served:
        yield served


@pytest.fixture
def guarded(gate: Gate, postgres: Databases, tmp_path: Path) -> RepliesPlace:
    url = postgres.make_database().replace(f":{postgres.port}/", f":{gate.port}/")
    return RepliesPlace(str(tmp_path), url)


async def keep_many(kept: ReplyStore, side: int) -> None:
    for number in range(5):
        begun = await kept.begin(0.5)
        await kept.keep(f"{side}-{number}", make_reply(f"{side}-{number}"), begun)


@pytest.mark.parametrize(
    ("fail", "patience_seconds", "words"),
    [(Gate.shut, 300.0, "up to 300 s"), (Gate.silence, 4.0, "it has said nothing for 4 s")],
)
async def test_database_that_is_away_for_a_while_is_told_once_and_waited_for(
    gate: Gate, guarded: RepliesPlace, fail: Callable[[Gate], None], patience_seconds: float, words: str
) -> None:
    place = replace(guarded, patience_seconds=patience_seconds)
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    with ReplyStore(place, PLAN, notice=said.put) as kept:
        await kept.keep("first", REPLY)
        fail(gate)
        writing = asyncio.gather(*(keep_many(kept, side) for side in range(8)))
        first = await asyncio.to_thread(said.get, timeout=120)
        gate.open()
        await writing
    with ReplyStore(place, PLAN) as kept:
        keys = [f"{side}-{number}" for side in range(8) for number in range(5)]
        assert {key: make_reply(key) for key in keys} == {key: kept.find(key) for key in keys}
        assert (REPLY, 0) == (kept.find("first"), kept.lost.calls)
    assert all(part in first for part in ("cannot be reached", "No call begins meanwhile", words))
    assert "answers again" in said.get_nowait()
    assert said.empty()


async def test_database_that_stays_away_ends_the_run_with_what_to_do(gate: Gate, guarded: RepliesPlace) -> None:
    place = replace(guarded, patience_seconds=1.0)
    with ReplyStore(place, PLAN) as kept:
        await kept.keep("a", REPLY)
        begun = await kept.begin(0.5)
        gate.shut()
        with pytest.raises(StoreError, match=r"cannot be reached.*waited for 1 s.*Start again when postgresql://"):
            await kept.keep("b", REPLY, begun)
        with pytest.raises(StoreError, match="EXEMPLARS_PATIENCE_SECONDS"):
            await kept.begin(0.5)
        for act in (list_cache, lambda place: clear_cache(place, None)):
            with pytest.raises(StoreError, match="cannot be reached"):
                await asyncio.to_thread(act, place)
    gate.open()
    with ReplyStore(place, PLAN) as kept:
        assert (REPLY, None) == (kept.find("a"), kept.find("b"))
        assert (1, 0.5) == (kept.lost.calls, kept.lost.bound_usd)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://ann:hush-hush@[::1]:1/replies", r"postgresql://\[::1\]:1/replies"),
        ("postgresql:///replies?host=/nowhere", "postgresql:///nowhere/replies"),
    ],
)
def test_database_that_cannot_be_had_is_an_error_at_once(tmp_path: Path, url: str, shown: str) -> None:
    with pytest.raises(StoreError, match=f"{shown}, cannot be reached") as caught:
        ReplyStore(RepliesPlace(str(tmp_path), url), PLAN)

    assert "hush" not in str(caught.value)


def test_database_of_a_newer_version_is_left_alone(place: RepliesPlace) -> None:
    ReplyStore(place, PLAN).close()
    run_sql(place, f"INSERT INTO exemplars_schema VALUES ({SCHEMA + 1})")
    with pytest.raises(StoreError, match="of a newer version of Exemplars"):
        ReplyStore(place, PLAN)


@pytest.mark.parametrize("spoil", [lambda _: b"no database" * 1000, lambda content: content[: len(content) // 2]])
async def test_damaged_file_is_set_aside_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[bytes], bytes]
) -> None:
    place, path = RepliesPlace(str(tmp_path)), tmp_path / "replies.sqlite"
    with ReplyStore(place, PLAN) as kept:
        await asyncio.gather(*(kept.keep(str(number), make_reply(str(number))) for number in range(50)))
    path.write_bytes(damaged := spoil(path.read_bytes()))
    with caplog.at_level(logging.WARNING), ReplyStore(place, PLAN) as kept:
        assert None is kept.find("0")
        await kept.keep("new", REPLY)
    with ReplyStore(place, PLAN) as kept:
        assert REPLY == kept.find("new")

    [warning] = caplog.messages
    assert f"It is now {path}.broken-1" in warning
    assert damaged == (tmp_path / "replies.sqlite.broken-1").read_bytes()


async def test_file_that_another_process_has_replaced_is_followed(tmp_path: Path) -> None:
    place, path = RepliesPlace(str(tmp_path)), tmp_path / "replies.sqlite"
    ReplyStore(RepliesPlace(str(tmp_path / "other")), PLAN).close()
    with ReplyStore(place, PLAN, "u22a8.toolshed") as kept:
        await kept.keep("a", REPLY)
        for suffix in ("-shm", "-wal", ""):
            path.with_name(f"{path.name}{suffix}").rename(tmp_path / f"aside{suffix}")
        shutil.copy(tmp_path / "other" / path.name, path)
        await kept.keep("b", REPLY)
    with ReplyStore(place, PLAN) as kept:
        assert (None, REPLY) == (kept.find("a"), kept.find("b"))


async def test_shared_limit_holds_over_openings(place: RepliesPlace) -> None:
    limit = SharedLimit("backfill-1", 1.0)
    with ReplyStore(place, "one") as one, ReplyStore(place, "other") as other:
        first, second = await one.begin(0.5, limit), await other.begin(0.5, limit)
        waiting = asyncio.create_task(other.begin(0.3, limit))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await one.keep("a", Reply("one", "stop", cost_usd=0.2), first)
        third = await waiting
        await other.drop(third)
        other.abandon(second)
        # What was paid and what was lost are 0.7: nothing is in flight any more that could make room.
        with pytest.raises(SharedBudgetError, match=r"limit of \$1 is reached: \$0\.7000"):
            await one.begin(0.4, limit)
        assert await one.begin(0.3, limit)
        assert await one.begin(9.0)


def test_call_that_is_noted_again_since_its_note_seemed_lost_counts_once() -> None:
    engine = create_engine("sqlite://")
    begun = Begun(OpenPlan("opening", PLAN, ""), 1, 0.5, SharedLimit("backfill-1", 1.0))
    metadata.create_all(engine)
    with engine.begin() as connection:
        for _ in range(2):
            apply_changes(connection, [begun])
        assert 0.5 == connection.scalar(select(budgets.c.committed_usd))
    engine.dispose()


async def test_what_a_lost_machine_had_in_flight_stays_committed(place: RepliesPlace) -> None:
    limit = SharedLimit("backfill-1", 1.0)
    lost = ReplyStore(replace(place, patience_seconds=301.0), "one")
    await lost.begin(0.75, limit)
    run_sql(place, f"UPDATE exemplars_openings SET beat_at = beat_at - {DEAD_SECONDS}")
    with ReplyStore(place, "other") as kept:
        with pytest.raises(SharedBudgetError):
            await kept.begin(0.5, limit)
        await kept.keep("a", REPLY, await kept.begin(0.25, limit))
    lost.close()
