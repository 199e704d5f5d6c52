"""A database that is away, damaged, newer, or replaced: nothing that was kept is lost, and it is said what to do."""

import asyncio
import logging
import queue
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.postgres import Databases, Postgres, open_postgres
from fakes.reply_tables import run_sql
from fakes.reply_writer import PLAN, make_reply, read_begun, read_kept, read_rest, start_writer
from sqlalchemy import create_engine, select

from engine.errors import SharedBudgetError, StoreError
from engine.llm.request import Reply
from engine.replies.admin import clear_cache, list_cache
from engine.replies.changes import DEAD_SECONDS, Begun, OpenPlan, SharedLimit, apply_changes
from engine.replies.replies import ReplyStore
from engine.replies.tables import SCHEMA, budgets, metadata
from engine.settings import RepliesPlace

REPLY = Reply("one", "stop", cost_usd=0.01)
AWAY_SECONDS = 3.0


@pytest.fixture(scope="module")
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that may be ended, and that keeps what it has said to keep."""
    with open_postgres(tmp_path_factory.mktemp("frail") / "own", "fsync=on") as server:
        yield server


async def keep_for(kept: ReplyStore, seconds: float) -> list[str]:
    """Keeps replies from eight sides, each with its call noted; the keys that are known to be kept."""
    end, told = time.monotonic() + seconds, []

    async def write(side: int) -> None:
        number = 0
        while time.monotonic() < end:
            number += 1
            key = f"{side}-{number}"
            begun = await kept.begin(0.5)
            await asyncio.sleep(0.01)
            await kept.keep(key, make_reply(key), begun)
            told.append(key)

    await asyncio.gather(*map(write, range(8)))
    return told


def end_and_start(server: Postgres) -> None:
    server.end()
    time.sleep(AWAY_SECONDS)
    server.start()


def hang_and_go_on(server: Postgres) -> None:
    server.hang()
    time.sleep(AWAY_SECONDS)
    server.hang(signal.SIGCONT)


@pytest.mark.parametrize("outage", [end_and_start, hang_and_go_on])
async def test_database_that_is_away_for_a_while_is_waited_for(
    tmp_path: Path, frail: Postgres, outage: Callable[[Postgres], None]
) -> None:
    place = RepliesPlace(str(tmp_path), frail.make_database())
    said: list[str] = []
    with ReplyStore(place, PLAN, notice=said.append) as kept:
        timer = threading.Timer(0.5, outage, (frail,))
        timer.start()
        told = await keep_for(kept, AWAY_SECONDS + 4)
        await asyncio.to_thread(timer.join)
    with ReplyStore(place, PLAN) as kept:
        assert {key: make_reply(key) for key in told} == {key: kept.find(key) for key in told}
        assert 0 == kept.lost.calls
    if outage is end_and_start:
        first, second = said
        assert all(part in first for part in ("cannot be reached", "No call begins meanwhile", "up to 300 s"))
        assert "answers again" in second


async def test_plan_is_opened_when_a_database_that_was_there_is_back(tmp_path: Path, frail: Postgres) -> None:
    place = RepliesPlace(str(tmp_path), frail.make_database())
    with ReplyStore(place, PLAN) as kept:
        await kept.keep("a", REPLY)
    frail.end()
    timer = threading.Timer(1.0, frail.start)
    timer.start()
    opened = await asyncio.to_thread(ReplyStore, place, PLAN)
    timer.join()
    with opened as kept:
        assert REPLY == kept.find("a")


async def test_database_that_stays_away_ends_the_run_with_what_to_do(tmp_path: Path, frail: Postgres) -> None:
    place = RepliesPlace(str(tmp_path), frail.make_database(), patience_seconds=1.0)
    with ReplyStore(place, PLAN) as kept:
        await kept.keep("a", REPLY)
        begun = await kept.begin(0.5)
        frail.end()
        try:
            with pytest.raises(StoreError, match=r"cannot be reached.*waited for 1 s.*Start again when postgresql://"):
                await kept.keep("b", REPLY, begun)
            with pytest.raises(StoreError, match="EXEMPLARS_PATIENCE_SECONDS"):
                await kept.begin(0.5)
        finally:
            frail.start()
    with ReplyStore(place, PLAN) as kept:
        assert (REPLY, None) == (kept.find("a"), kept.find("b"))
        assert (1, 0.5) == (kept.lost.calls, kept.lost.bound_usd)


async def test_database_that_hangs_is_told_once_and_waited_for(tmp_path: Path, frail: Postgres) -> None:
    place = RepliesPlace(str(tmp_path), frail.make_database(), patience_seconds=6.0)
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    with ReplyStore(place, PLAN, notice=said.put) as kept:
        frail.hang()
        writing = asyncio.ensure_future(keep_for(kept, 0.1))
        try:
            first = await asyncio.to_thread(said.get, timeout=60)
        finally:
            frail.hang(signal.SIGCONT)
        told = await writing
    with ReplyStore(place, PLAN) as kept:
        assert {key: make_reply(key) for key in told} == {key: kept.find(key) for key in told}
        assert 0 == kept.lost.calls
    assert all(part in first for part in ("it has said nothing for 6 s", "waited for up to 6 s"))
    assert "answers again" in said.get_nowait()
    assert said.empty()


async def test_database_that_hangs_on_ends_the_run_and_its_process(tmp_path: Path, frail: Postgres) -> None:
    place = RepliesPlace(str(tmp_path), frail.make_database())
    writer = start_writer(place, patience_seconds=3.0)
    assert writer.stdout
    said = "".join(writer.stdout.readline() for _ in range(50))
    frail.hang()
    try:
        rest, error = await asyncio.wait_for(asyncio.to_thread(read_rest, writer), 120)
    finally:
        frail.hang(signal.SIGCONT)
        writer.kill()
    begun, answered = read_begun(said + rest), read_kept(said + rest)
    with ReplyStore(place, PLAN) as kept:
        found = [key for key in begun if kept.find(key)]
        assert set(answered) <= set(found)
        assert len(begun) <= len(found) + kept.lost.calls

    assert 1 == writer.returncode
    assert "it has said nothing for 3 s" in error
    assert "waited for 3 s (EXEMPLARS_PATIENCE_SECONDS). Start again when postgresql://" in error


@pytest.mark.parametrize("act", [list_cache, lambda place: clear_cache(place, None)])
async def test_cache_of_a_database_that_hangs_is_an_error(
    tmp_path: Path, frail: Postgres, act: Callable[[RepliesPlace], object]
) -> None:
    place = RepliesPlace(str(tmp_path), frail.make_database(), patience_seconds=2.0)
    ReplyStore(place, PLAN).close()
    frail.hang()
    try:
        with pytest.raises(StoreError, match="cannot be reached"):
            await asyncio.wait_for(asyncio.to_thread(act, place), 60)
    finally:
        frail.hang(signal.SIGCONT)


async def test_call_whose_note_is_committed_late_counts_once(postgres: Databases) -> None:
    engine = create_engine(postgres.make_database().replace("postgresql:", "postgresql+psycopg:"))
    begun = Begun(OpenPlan("opening", PLAN, ""), 1, 0.5, SharedLimit("backfill-1", 1.0))

    def note_again() -> None:
        with engine.begin() as connection:
            apply_changes(connection, [begun])

    metadata.create_all(engine)
    with engine.begin() as connection:
        apply_changes(connection, [begun])
        again = asyncio.create_task(asyncio.to_thread(note_again))
        await asyncio.sleep(0.5)
    await again
    with engine.connect() as connection:
        assert 0.5 == connection.scalar(select(budgets.c.committed_usd))
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://ann:hush-hush@127.0.0.1:1/replies", r"postgresql://127\.0\.0\.1:1/replies, cannot be reached"),
        ("postgresql+psycopg://ann:hush-hush@[::1]:1/replies", r"postgresql://\[::1\]:1/replies, cannot be reached"),
        ("postgresql:///replies?host=/nowhere", r"postgresql:///nowhere/replies, cannot be reached"),
    ],
)
def test_database_that_cannot_be_had_is_an_error_at_once(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        ReplyStore(RepliesPlace(str(tmp_path), url), PLAN)

    assert "hush" not in str(caught.value)


def test_database_of_a_newer_version_is_left_alone(place: RepliesPlace) -> None:
    ReplyStore(place, PLAN).close()
    run_sql(place, f"INSERT INTO exemplars_schema VALUES ({SCHEMA + 1})")
    with pytest.raises(StoreError, match="of a newer version of Exemplars"):
        ReplyStore(place, PLAN)


def spoil_all(content: bytes) -> bytes:
    return b"no database" * 1000


def spoil_pages(content: bytes) -> bytes:
    return content[:4096] + b"\xff" * (len(content) - 4096)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize("spoil", [spoil_all, spoil_pages, cut])
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


async def test_limit_is_never_passed_by_many_at_once(place: RepliesPlace) -> None:
    limit, paid = SharedLimit("backfill-1", 1.0), []

    async def call(kept: ReplyStore, number: int) -> None:
        begun = await kept.begin(0.05, limit)
        paid.append(0.02)
        await asyncio.sleep(0.01)
        await kept.keep(str(number), Reply("one", "stop", cost_usd=0.02), begun)

    with ReplyStore(place, "one") as one, ReplyStore(place, "other") as other:
        calls = (call(kept, number) for number in range(40) for kept in (one, other))
        ended = await asyncio.gather(*calls, return_exceptions=True)

    assert {SharedBudgetError, type(None)} == {type(outcome) for outcome in ended}
    assert 0.9 < sum(paid) <= 1.0
