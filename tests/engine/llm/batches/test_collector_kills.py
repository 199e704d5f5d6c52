"""Whatever instant a collector is killed or held up at, no batch is created twice, no line is billed twice or lost.

By the wires of both forms, at a server that keeps the bill. ``LONG=1 pytest … -s`` kills more often, and prints it.
"""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
from fakes.batch_collector import KEY, STEPS, Collecting, Step, collect_once
from fakes.batch_lines import PLACE, make_asked, make_run
from fakes.batches import BatchServer, Manner, serve_batches
from fakes.long import LONG, choose, longer
from fakes.provider import COMPLETION_TOKENS, PROMPT_TOKENS
from fakes.reply_tables import run_sql

from engine.llm.batches.account import BatchAccount, digest_key
from engine.llm.batches.ledger import LEASE_SECONDS, PAGE
from engine.llm.batches.outbox import Outbox
from engine.llm.client.prices import Price
from engine.llm.replies.changes import SharedLimit
from engine.settings import DatabaseUrl

ROUNDS = choose(once=1, at_length=20)
LIMIT = SharedLimit("backfill-1", 1000.0)
RUNS = 2
MOST_PASSES = 12
PRICE = Price(1e-6, 2e-6)
# The token counts of each reply of the server.
COST_USD = PRICE.cost(PROMPT_TOKENS, COMPLETION_TOKENS)
CLAUDE = replace(PLACE, form="anthropic", model="anthropic/claude-sonnet-4-5", price=PRICE)
GPT = replace(PLACE, price=PRICE)
BY_ANTHROPIC = pytest.mark.parametrize("bill", [pytest.param(CLAUDE, id="anthropic")], indirect=True)
IN_A_FILE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
WITHIN_SECONDS = pytest.mark.parametrize("within_seconds", [0.0, 0.05] if LONG else [0.0])


@dataclass
class Bill:
    """What is known of all rounds."""

    server: BatchServer
    place: DatabaseUrl
    model: BatchAccount
    offset: float = 0.0
    lines: int = 0

    def advance(self, seconds: float) -> None:
        self.offset += seconds
        self.server.advance(seconds)

    def queue(self, name: str, count: int) -> None:
        base = self.server.url if self.model.form == "anthropic" else f"{self.server.url}/v1"
        where = replace(self.model, api_base=base, key_digest=digest_key(self.model.model, KEY))
        asked = [replace(each, body={**each.body, "max_tokens": 100}) for each in make_asked(count)]
        with Outbox(self.place) as outbox:
            for number in range(RUNS):
                run = make_run(f"{name}-{number}")
                assert count == outbox.queue(run, where, asked, 1e9, LIMIT)
        self.lines += RUNS * count

    async def collect_all(self) -> int:
        """Goes on with passes until every run is ready; how many it took."""
        for number in range(1, MOST_PASSES):
            told = await collect_once(self.place, self.offset)
            if not told.is_open:
                return number
            self.advance(301)
        raise AssertionError(told.problems)

    def kill_at(self, step: Step, within_seconds: float) -> bool:
        """Whether one of the next passes was killed."""
        for _ in range(4):
            with Collecting(self.place, self.offset, step, within_seconds=within_seconds) as collecting:
                code = collecting.wait()
            assert code in (0, -signal.SIGKILL)
            if code:
                return True
            self.advance(301)
        return False

    def check(self) -> None:
        """Each batch was accepted once, each line billed once, and each reply is kept and counted once."""
        assert {1} == set(self.server.accepted.values())
        assert (self.lines, {1}) == (len(self.server.submitted), set(self.server.submitted.values()))
        assert (self.lines, {1}) == (len(self.server.billed), set(self.server.billed.values()))
        assert [("done", self.lines)] == run_sql(
            self.place, "SELECT state, count(*) FROM exemplars_lines GROUP BY state"
        )
        assert [(self.lines,)] == run_sql(self.place, "SELECT count(*) FROM exemplars_replies")
        [[calls, ended, usd]] = run_sql(
            self.place,
            "SELECT count(*), sum(CASE WHEN ended THEN 1 ELSE 0 END), sum(usd) FROM exemplars_calls "
            "WHERE budget = 'backfill-1'",
        )
        assert (self.lines, self.lines, round(self.lines * COST_USD, 6)) == (calls, ended, round(usd, 6))
        with Outbox(self.place) as outbox:
            assert all(run.is_ready for run in outbox.find_runs())


@pytest.fixture
def bill(place: DatabaseUrl, request: pytest.FixtureRequest) -> Iterator[Bill]:
    with serve_batches(manner=Manner(seconds=30.0)) as server:
        yield Bill(server, place, getattr(request, "param", GPT))


@longer
@WITHIN_SECONDS
async def test_collector_that_is_killed_at_any_step_leaves_the_next_to_go_on(bill: Bill, within_seconds: float) -> None:
    await kill_at_each_step(bill, within_seconds)


@longer
@BY_ANTHROPIC
@IN_A_FILE
@WITHIN_SECONDS
async def test_so_does_one_by_a_wire_that_keeps_no_key_in_a_batch(bill: Bill, within_seconds: float) -> None:
    await kill_at_each_step(bill, within_seconds)


async def kill_at_each_step(bill: Bill, within_seconds: float) -> None:
    passes, killed = Counter[int](), Counter[Step]()
    began = time.monotonic()
    for number in range(ROUNDS):
        for step in STEPS:
            bill.queue(f"{step}-{number}", PAGE if step == "read" else 3)
            killed[step] += bill.kill_at(step, within_seconds)
            bill.advance(LEASE_SECONDS + 1)
            passes[await bill.collect_all()] += 1
            bill.advance(3600)
    bill.check()
    # Where it comes a little later, the pass may have been over.
    assert within_seconds or dict.fromkeys(STEPS, ROUNDS) == killed
    print(f"\nKills {dict(killed)} in {time.monotonic() - began:.0f} s; passes until all was kept: {dict(passes)}")
    print(f"{bill.lines} lines in {len(bill.server.batches)} batches, all billed once; asked {dict(bill.server.asked)}")


@longer
async def test_two_collectors_at_once_create_and_read_each_batch_once(bill: Bill) -> None:
    for number in range(ROUNDS):
        for each in range(3):
            bill.queue(f"at once {number}-{each}", 3)
            with ExitStack() as stack:
                both = [stack.enter_context(Collecting(bill.place, bill.offset, passes=3)) for _ in range(2)]
                assert [0, 0] == [collecting.wait() for collecting in both]
            bill.advance(301)
        await bill.collect_all()
    bill.check()


@longer
@pytest.mark.parametrize("step", ["upload", "try", "create"])
async def test_collector_that_is_held_up_while_another_takes_over_creates_nothing_twice(bill: Bill, step: Step) -> None:
    for number in range(ROUNDS):
        bill.queue(f"{step}-{number}", 3)
        with Collecting(bill.place, bill.offset, step, signal.SIGSTOP) as collecting:
            collecting.wait_for_stop()
            bill.advance(LEASE_SECONDS + 1)
            told = await collect_once(bill.place, bill.offset)
            assert (step == "upload") == bool(told.sent)
            collecting.go_on()
            assert 0 == collecting.wait()
            [last] = collecting.hear()
            assert ("Another process has begun to collect",) == last.problems
        await bill.collect_all()
    bill.check()


async def test_create_of_which_only_the_list_tells_is_adopted_however_late_it_shows(bill: Bill) -> None:
    bill.server.manner = Manner(seconds=30.0, list_lag=290.0)
    bill.queue("late", 3)
    bill.server.fail("create", "lost")
    assert 0 == (await collect_once(bill.place, bill.offset)).sent
    for _ in range(2):
        await collect_once(bill.place, bill.offset)
    bill.advance(301)
    await bill.collect_all()
    bill.check()
