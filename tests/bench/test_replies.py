"""Ways to keep replies, measured beside each other: how many a second, what the event loop waits, what the CPU does."""

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.postgres import Databases

from engine.llm.request import Reply
from engine.replies.replies import ReplyStore
from engine.settings import RepliesPlace

WRITERS = 32
# How long a call takes, and how many are made: what is asked as fast as can be, and what a run asks.
ROUNDS = {0.0: 3200, 0.2: 1000}
TIMES = 3
BARE = "nothing kept"

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


def keep_in(place: Callable[[Path], RepliesPlace], noted: bool) -> Way:
    @contextmanager
    def open_way(folder: Path) -> Iterator[Keep]:
        with ReplyStore(place(folder), "plan") as kept:

            async def keep(key: str, reply: Reply) -> None:
                await kept.keep(key, reply, await kept.begin(0.001) if noted else None)

            yield keep

    return open_way


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
            f"{cpu:>9.3f}{item.seconds / measured[BARE].seconds:>11.2f}"
        )
    return "\n".join(lines)


@pytest.mark.parametrize(("call_seconds", "count"), ROUNDS.items())
def test_ways_to_keep_replies(tmp_path: Path, postgres: Databases, call_seconds: float, count: int) -> None:
    places = {
        "SQLite": lambda folder: RepliesPlace(str(folder)),
        "PostgreSQL": lambda folder: RepliesPlace(str(folder), postgres.make_database()),
    }
    ways: dict[str, Way] = {BARE: keep_nothing}
    for name, place in places.items():
        ways |= {name: keep_in(place, noted=False), f"{name}, each call noted before": keep_in(place, noted=True)}
    measured: dict[str, list[Measured]] = {name: [] for name in ways}
    for number in range(TIMES):
        for name, way in ways.items():
            measured[name].append(measure(way, tmp_path / f"{number} {name}", call_seconds, count))
    medians = {name: sorted(items, key=lambda item: item.seconds)[TIMES // 2] for name, items in measured.items()}
    print(show(medians, f"{WRITERS} writers, calls of {call_seconds:g} s"))

    assert {count} == {item.replies for item in medians.values()}
