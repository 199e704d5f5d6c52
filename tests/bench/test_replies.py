"""Ways to keep replies, measured beside each other: how many a second, what the event loop waits, what the CPU does."""

import asyncio
import json
import os
import selectors
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from engine.llm.request import Reply
from engine.replies.replies import ReplyStore
from engine.replies.writer import GroupWriter
from engine.settings import RepliesPlace

WRITERS = 32
# How long a call takes, and how many are made: what is asked as fast as can be, and what a run asks.
ROUNDS = {0.0: 3200, 0.2: 640}
CHOSEN = "SQLite, FULL, by groups"

Keep = Callable[[str, Reply], Awaitable[object]]
Way = Callable[[Path], AbstractContextManager[Keep]]


@dataclass(frozen=True)
class Measured:
    """Of so many replies; ``blocked`` is the time for which the event loop did anything but wait."""

    replies: int
    seconds: float
    blocked_seconds: float
    longest_seconds: float
    cpu_seconds: float


class TimedSelector(selectors.DefaultSelector):
    """Knows how long a loop has waited, and the longest that it was away."""

    waited = longest = 0.0
    left = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready."""
        before = time.perf_counter()
        self.longest = max(self.longest, before - self.left) if self.left else 0.0
        ready = super().select(timeout)
        self.left = time.perf_counter()
        self.waited += self.left - before
        return ready


@contextmanager
def keep_nothing(_: Path) -> Iterator[Keep]:
    async def keep(key: str, reply: Reply) -> None:
        await asyncio.sleep(0)

    yield keep


def write_line(key: str, reply: Reply) -> bytes:
    return f"{key} {json.dumps(asdict(reply), ensure_ascii=False)}\n".encode()


@contextmanager
def append_by_groups(folder: Path) -> Iterator[Keep]:
    file = os.open(folder / "replies.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    places: dict[str, int] = {}

    def commit(lines: object) -> list[None]:
        assert isinstance(lines, list)
        os.write(file, b"".join(lines))
        os.fdatasync(file)
        return [None] * len(lines)

    writer: GroupWriter[bytes, None] = GroupWriter(commit)

    async def keep(key: str, reply: Reply) -> None:
        line = write_line(key, reply)
        places[key] = len(line)
        await writer.write(line)

    yield keep
    writer.close()
    os.close(file)


def sqlite_one_by_one(synchronous: str) -> Way:
    @contextmanager
    def open_way(folder: Path) -> Iterator[Keep]:
        connection = sqlite3.connect(folder / "replies.sqlite", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            f"PRAGMA synchronous={synchronous}",
            "CREATE TABLE replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)",
        ):
            connection.execute(statement)

        async def keep(key: str, reply: Reply) -> None:
            text = json.dumps(asdict(reply), ensure_ascii=False)
            connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, text))

        yield keep
        connection.close()

    return open_way


@contextmanager
def sqlite_by_groups(folder: Path) -> Iterator[Keep]:
    with ReplyStore(RepliesPlace(str(folder)), "plan") as kept:
        yield kept.keep


@contextmanager
def sqlite_by_groups_with_notes(folder: Path) -> Iterator[Keep]:
    with ReplyStore(RepliesPlace(str(folder)), "plan") as kept:

        async def keep(key: str, reply: Reply) -> None:
            await kept.keep(key, reply, await kept.begin(0.001))

        yield keep


@contextmanager
def file_each(folder: Path) -> Iterator[Keep]:
    async def keep(key: str, reply: Reply) -> None:
        file = os.open(folder / key, os.O_WRONLY | os.O_CREAT)
        os.write(file, write_line(key, reply))
        os.fsync(file)
        os.close(file)

    yield keep


@contextmanager
def file_each_in_threads(folder: Path) -> Iterator[Keep]:
    with file_each(folder) as keep:

        def keep_one(key: str, reply: Reply) -> None:
            # It awaits nothing.
            with pytest.raises(StopIteration):
                keep(key, reply).__await__().send(None)

        async def keep_in_thread(key: str, reply: Reply) -> None:
            await asyncio.to_thread(keep_one, key, reply)

        yield keep_in_thread


WAYS: Mapping[str, Way] = {
    "nothing kept": keep_nothing,
    "one append-only file, by groups": append_by_groups,
    "SQLite, NORMAL, one by one": sqlite_one_by_one("NORMAL"),
    "SQLite, FULL, one by one": sqlite_one_by_one("FULL"),
    CHOSEN: sqlite_by_groups,
    "the same, each call noted before": sqlite_by_groups_with_notes,
    "a file each, synced": file_each,
    "a file each, synced, in threads": file_each_in_threads,
}


def make_reply(number: int) -> Reply:
    """As long as an exemplar in its JSON."""
    return Reply(f"{number} " + "The kettle was moved near the harbour. " * 18, "stop", 400, 180, 0.0001)


def measure(way: Way, folder: Path, call_seconds: float, count: int) -> Measured:
    """So many writers at once, each of which waits for a model and keeps its reply, over and over."""
    folder.mkdir()
    replies = [make_reply(number) for number in range(count)]

    async def write(keep: Keep, writer: int) -> None:
        for number in range(writer, count, WRITERS):
            if call_seconds:
                await asyncio.sleep(call_seconds * (0.75 + number * 7 % 100 / 200))
            await keep(f"{number:064x}", replies[number])

    async def write_all() -> None:
        with way(folder) as keep:
            await asyncio.gather(*(write(keep, writer) for writer in range(WRITERS)))

    selector = TimedSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(asyncio.sleep(0))
        waited, began, cpu = selector.waited, time.perf_counter(), time.process_time()
        selector.longest = 0.0
        runner.run(write_all())
        seconds = time.perf_counter() - began
        blocked = seconds - (selector.waited - waited)
    return Measured(count, seconds, blocked, selector.longest, time.process_time() - cpu)


def show(measured: Mapping[str, Measured], title: str) -> str:
    lines = [f"\n{title:<36}{'replies/s':>10}{'blocked ms':>12}{'longest ms':>12}{'CPU ms':>9}{'× seconds':>11}"]
    for name, item in measured.items():
        blocked, cpu = (1e3 * seconds / item.replies for seconds in (item.blocked_seconds, item.cpu_seconds))
        lines.append(
            f"{name:<36}{item.replies / item.seconds:>10,.0f}{blocked:>12.3f}{1e3 * item.longest_seconds:>12.1f}"
            f"{cpu:>9.3f}{item.seconds / measured[CHOSEN].seconds:>11.2f}"
        )
    return "\n".join(lines)


@pytest.mark.parametrize(("call_seconds", "count"), ROUNDS.items())
def test_ways_to_keep_replies(tmp_path: Path, call_seconds: float, count: int) -> None:
    measured = {
        name: measure(way, tmp_path / str(number), call_seconds, count)
        for number, (name, way) in enumerate(WAYS.items())
    }
    print(show(measured, f"{WRITERS} writers, calls of {call_seconds:g} s"))

    assert {count} == {item.replies for item in measured.values()}
