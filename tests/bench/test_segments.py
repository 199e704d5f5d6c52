"""What keeping replies on a store costs a run, and what a machine takes along that is lost at random: ROUNDS=n.

Both with a provider of 200 ms and 32 calls in flight, in this process, and an S3 server on loopback in another. The
server itself takes CPU that an object store elsewhere would not.
"""

import asyncio
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import pytest
from bench.test_replies import make_reply
from fakes.client import FakeClient, HeardProgress, labelled
from fakes.s3 import BUCKET, S3

import engine.replies.uploader
from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.llm.prices import FREE, Price
from engine.llm.request import Endpoint, Prompt, Reply, Request
from engine.replies.admin import count_kept_replies
from engine.replies.remote_plan import PlanStore
from engine.replies.replies import ReplyStore
from engine.replies.segments import read_count
from engine.settings import RepliesPlace

CALLS = 1000
CONCURRENCY = 32
CALL_SECONDS = 0.2
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SIZES = (16, 32, 64, 128, 256)
MODELS = 100
PRICED = Endpoint("openai/test", "openai/test", "openai/test@", price=Price(1e-6, 1e-6))
UNPAID = Endpoint("openai/test", "openai/test", "openai/test@", price=FREE)


@dataclass(frozen=True)
class Measured:
    """One run: its seconds, the CPU of this process, and the requests that changed something on the store."""

    seconds: float
    cpu_seconds: float
    puts: int


class SlowClient(FakeClient):
    """Takes as long as a provider, each call another part of it."""

    async def complete(self, request: Request) -> Reply:
        """One reply."""
        number = len(self.requests)
        self.requests.append(request)
        await asyncio.sleep(CALL_SECONDS * (0.75 + number * 7 % 100 / 200))
        return make_reply(number)


async def ask_all(place: RepliesPlace, endpoint: Endpoint, plan_id: str = "plan", count: int = CALLS) -> None:
    gateway = ModelGateway(
        SlowClient(lambda _: Reply("", "stop"), endpoint), place, HeardProgress(), RunBudget(CONCURRENCY, 1000.0)
    )
    async with gateway.keeping(plan_id, "u22a8.toolshed"):
        requests = (Request(Prompt(f"Write text {number}."), 100, 0.8) for number in range(count))
        await asyncio.gather(
            *(gateway.complete(labelled(str(number), request)) for number, request in enumerate(requests))
        )


def measure(place: RepliesPlace, endpoint: Endpoint, s3: S3) -> Measured:
    before, began, cpu = s3.changes, time.perf_counter(), time.process_time()
    asyncio.run(ask_all(place, endpoint))
    return Measured(time.perf_counter() - began, time.process_time() - cpu, s3.changes - before)


@pytest.mark.timeout(1800)
def test_run_with_and_without_a_store(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: dict[str, tuple[Endpoint, int]] = {"no store": (UNPAID, 0), "no store, priced": (PRICED, 0)}
    ways |= {f"segments of {size}": (UNPAID, size) for size in SIZES}
    ways |= {f"segments of {size}, priced": (PRICED, size) for size in (engine.replies.uploader.SEGMENT_REPLIES,)}
    found: dict[str, list[Measured]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for name, (endpoint, size) in ways.items():
            monkeypatch.setattr(engine.replies.uploader, "SEGMENT_REPLIES", size)
            uri = f"s3://{BUCKET}/{number}-{endpoint.price == FREE}-{size}" if size else None
            found[name].append(measure(RepliesPlace(str(tmp_path / f"{number} {name}"), uri), endpoint, s3))
    base = median(item.seconds for item in found["no store"])
    cpu = median(item.cpu_seconds for item in found["no store"])
    print(f"\n{CALLS} calls of {CALL_SECONDS:g} s, {CONCURRENCY} in flight, {ROUNDS} rounds")
    print(f"{'':<26}{'seconds':>9}{'×':>7}{'CPU ms a call':>15}{'×':>7}{'puts':>7}")
    for name, items in found.items():
        seconds, used = median(item.seconds for item in items), median(item.cpu_seconds for item in items)
        puts = median(item.puts for item in items)
        print(
            f"{name:<26}{seconds:>9.2f}{seconds / base:>7.2f}{1e3 * used / CALLS:>15.2f}{used / cpu:>7.2f}{puts:>7.0f}"
        )

    assert all(0 < item.puts <= CALLS / size + 40 for name, (_, size) in ways.items() if size for item in found[name])


@pytest.mark.timeout(1800)
def test_what_a_machine_takes_along_that_is_lost_at_random(
    tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At an instant, what is kept here and not listed there is what would be asked for again."""
    rng = random.Random(20261126)
    print(f"\n{'replies':<10}{'lost on average':>16}{'at most':>9}{'in flight':>11}")
    for size in SIZES:
        monkeypatch.setattr(engine.replies.uploader, "SEGMENT_REPLIES", size)
        lost = asyncio.run(watch(RepliesPlace(str(tmp_path / str(size)), f"s3://{BUCKET}/lost-{size}"), rng))
        print(f"{size:<10}{mean(lost):>16.1f}{max(lost):>9}{CONCURRENCY:>11}")
        # What comes while a segment is on its way is beside it.
        assert mean(lost) <= size + 2 * CONCURRENCY


async def watch(place: RepliesPlace, rng: random.Random) -> list[int]:
    """How many replies only this machine had, at instants of a run."""
    store = PlanStore(str(place.uri), "plan", "u22a8.toolshed")
    asking = asyncio.create_task(ask_all(place, UNPAID))
    await asyncio.sleep(1)
    lost = []
    while not asking.done():
        await asyncio.sleep(rng.random() / 5)
        # First what is here: what comes meanwhile may be there already.
        here = count_kept_replies(place.local, "plan") or 0
        there = await asyncio.to_thread(store.list)
        lost.append(max(0, here - sum(map(read_count, there.segments))))
    return lost


@pytest.mark.timeout(600)
def test_opening_and_closing_many_plans(tmp_path: Path, s3: S3) -> None:
    seconds: dict[str, float] = {}
    for name, uri in (("no store", None), ("a store", f"s3://{BUCKET}/many")):
        place = RepliesPlace(str(tmp_path / name), uri)
        began = time.perf_counter()
        for number in range(MODELS):
            with ReplyStore(place, f"plan-{number}", "u22a8.toolshed") as kept:
                asyncio.run(kept.keep("key", make_reply(number)))
        seconds[name] = time.perf_counter() - began
        again = time.perf_counter()
        for number in range(MODELS):
            ReplyStore(place, f"plan-{number}").close()
        seconds[f"{name}, again"] = time.perf_counter() - again
    print(
        "\nopened and closed, ms: " + ", ".join(f"{name} {1e3 * item / MODELS:.1f}" for name, item in seconds.items())
    )

    assert 4 == len(seconds)
