"""A pass handles waiting lines and open batches, for every answer of the provider; no line is sent twice."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fakes.batch_lines import BOUND_USD, PLACE, count_lines, list_ready, make_asked, make_run, queue
from fakes.batch_wire import REPLY, FakeProvider
from fakes.reply_tables import run_sql

from engine.errors import (
    CredentialsError,
    ModelNotFoundError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitedError,
    RequestRefusedError,
)
from engine.llm.batches.collector import BUSY, NO_FILE, CollectResult, collect
from engine.llm.batches.ledger import PAGE, intend, take_lease
from engine.llm.batches.outbox import BatchRow, Outbox
from engine.llm.batches.provider import Answer
from engine.llm.client.request import Reply
from engine.llm.replies.replies import ReplyStore, UnconfirmedCalls
from engine.settings import DatabaseUrl

HOUR = 3600.0
UNKNOWN = ProviderUnavailableError("No answer came", maybe_billed=True)


class Clock:
    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


class Site:
    """An outbox, a provider and a clock."""

    def __init__(self, place: DatabaseUrl) -> None:
        self.place, self.outbox, self.provider, self.clock = place, Outbox(place), FakeProvider(), Clock()

    async def collect(self, after: float = 0.0, sends: bool = True) -> CollectResult:
        self.clock.offset += after
        told = await collect(self.outbox, self.provider.open, self.clock, sends)
        # Whatever happened: nobody has the lease.
        assert [] == run_sql(self.place, "SELECT holder FROM exemplars_collector")
        return told

    @property
    def batches(self) -> list[BatchRow]:
        return self.outbox.list_batches()

    @property
    def batch(self) -> BatchRow:
        [row] = self.batches
        return row

    def count(self, plan_id: str = "plan-1") -> dict[str, int]:
        return dict(count_lines(self.outbox, plan_id))

    def read(self, plan_id: str = "plan-1") -> tuple[int, float, UnconfirmedCalls]:
        """Return the number of kept replies, their cost, and the unconfirmed calls."""
        with ReplyStore(self.place, plan_id) as kept:
            count = run_sql(self.place, "SELECT count(*) FROM exemplars_replies WHERE plan_id = :p", p=plan_id)[0][0]
            return count, round(kept.kept_usd, 9), kept.lost

    def count_calls(self) -> list[tuple[bool, int]]:
        rows = run_sql(self.place, "SELECT ended, count(*) FROM exemplars_calls GROUP BY ended ORDER BY ended")
        return [(bool(ended), count) for ended, count in rows]


@pytest.fixture
def site(place: DatabaseUrl) -> Iterator[Site]:
    made = Site(place)
    yield made
    made.outbox.close()


def digest(plan_id: str, number: int) -> str:
    return hashlib.sha256(f"{plan_id}\0key {number}".encode()).hexdigest()


async def test_lines_of_all_runs_go_in_one_batch_whose_replies_are_kept_under_their_keys(site: Site) -> None:
    queue(site.outbox, 600)
    queue(site.outbox, 7, "plan-2")
    told = await site.collect()
    assert (1, 0, True, ()) == (told.sent, told.kept, told.is_open, told.problems)
    assert "1 batch sent, 0 replies kept" == str(told)
    row = site.batch
    assert ("created", "batch-0", 607, 0) == (row.state, row.remote_id, row.lines, row.done)
    assert (round(607 * BOUND_USD, 6), row.created_at) == (round(row.ceiling_usd, 6), (row.until or 0) - 24 * HOUR)
    assert (0, 0.0, UnconfirmedCalls()) == site.read()

    # It is due after a minute, then ever more seldom.
    await site.collect()
    assert "look" not in site.provider.steps
    for after, looks in ((61, 1), (58, 1), (4, 2), (58, 2), (4, 3), (85, 3), (10, 4)):
        await site.collect(after)
        assert looks == site.provider.steps.count("look")
    assert "none yet" == site.batch.said
    site.provider.end()
    told = await site.collect(HOUR)
    assert (0, 607, False, ()) == (told.sent, told.kept, told.is_open, told.problems)
    assert ({"done": 600}, {"done": 7}, "over") == (site.count(), site.count("plan-2"), site.batch.state)
    assert ((600, 0.6, UnconfirmedCalls()), [(True, 607)]) == (site.read(), site.count_calls())
    with ReplyStore(site.place, "plan-1") as kept:
        assert (REPLY, REPLY) == (kept.find("key 0"), kept.find("key 599"))
    assert ["run of plan-1", "run of plan-2"] == list_ready(site.outbox)
    assert 1 == max(site.provider.submitted.values())
    assert site.provider.steps.count("open") == site.provider.closed
    # No body is kept once its line has ended.
    assert [(0,)] == run_sql(site.place, "SELECT count(body) FROM exemplars_lines")


async def test_lines_without_a_reply_wait_once_more_or_are_asked_live(site: Site) -> None:
    queue(site.outbox, 5)
    answers = {
        digest("plan-1", 0): Answer("", REPLY),
        digest("plan-1", 2): Answer(""),
        digest("plan-1", 3): Answer("", Reply("two", "stop")),
    }
    site.provider.answer = lambda line: replace(answers[line], custom_id=line) if line in answers else None
    await site.collect()
    site.provider.end()
    told = await site.collect(61)
    assert (1, 2) == (told.sent, told.kept)
    lines = site.outbox.list_lines("plan-1")
    assert ["live", "sent", "sent"] == [lines[key][0] for key in ("key 2", "key 1", "key 4")]
    # A reply without token counts costs its ceiling; the recorded call of a line for live calls is dropped.
    assert ((2, 0.001 + BOUND_USD, UnconfirmedCalls()), [(False, 2), (True, 2)]) == (site.read(), site.count_calls())
    assert {2, 5} == {row.lines for row in site.batches}
    site.provider.end()
    told = await site.collect(61)
    assert ((0, 0), {"done": 2, "live": 3}) == ((told.sent, told.kept), site.count())
    assert Counter({1: 3, 2: 2}) == Counter(site.provider.submitted.values())
    assert [(True, 2)] == site.count_calls()


@pytest.mark.parametrize("count", [PAGE, 2 * PAGE])
async def test_answers_may_fill_whole_pages(site: Site, count: int) -> None:
    queue(site.outbox, count)
    await site.collect()
    site.provider.end()
    told = await site.collect(61)
    assert (count, False, ()) == (told.kept, told.is_open, told.problems)


async def test_two_answers_to_a_line_and_answers_of_others_count_once_or_not(site: Site) -> None:
    queue(site.outbox, PAGE + 1)
    first = replace(REPLY, text="first")
    await site.collect()
    [remote] = site.provider.remote.values()
    remote.lines = [*remote.lines, remote.lines[0], "of nobody"]
    told = iter([first])
    site.provider.answer = lambda line: Answer(line, next(told, REPLY))
    site.provider.end()
    assert PAGE + 1 == (await site.collect(61)).kept
    assert (PAGE + 1, round(0.001 * (PAGE + 1), 9), UnconfirmedCalls()) == site.read()
    [key] = [key for key in site.outbox.list_lines("plan-1") if digest("plan-1", int(key[4:])) == remote.lines[0]]
    with ReplyStore(site.place, "plan-1") as kept:
        assert first == kept.find(key)


async def test_read_that_breaks_goes_on_and_counts_nothing_twice(site: Site) -> None:
    queue(site.outbox, 2 * PAGE + 10)
    await site.collect()
    site.provider.end()
    site.provider.breaks_after = PAGE + 5
    site.provider.fail("break", ProviderUnavailableError("The connection broke"))
    told = await site.collect(61)
    assert (PAGE, {"done": PAGE, "sent": PAGE + 10}) == (told.kept, site.count())
    assert ["The connection broke. It is tried again"] == [said.rpartition(": ")[2] for said in told.problems]
    assert PAGE + 10 == (await site.collect()).kept
    assert (2 * PAGE + 10, round(0.001 * (2 * PAGE + 10), 9), UnconfirmedCalls()) == site.read()


async def test_create_whose_answer_is_lost_is_looked_for_and_adopted(site: Site) -> None:
    queue(site.outbox, 3)
    site.provider.lost = UNKNOWN
    told = await site.collect()
    assert (0, "intent", None) == (told.sent, site.batch.state, site.batch.remote_id)
    assert "No answer came" in told.problems[0]
    site.provider.fail("find", ProviderUnavailableError("no list"))
    assert "no list" in (await site.collect(24 * HOUR)).problems[0]
    assert None is site.batch.missed_at
    await site.collect()
    assert ("created", "batch-0") == (site.batch.state, site.batch.remote_id)
    site.provider.end()
    assert (3, {3: 1}) == ((await site.collect(61)).kept, {len(site.provider.submitted): 1})
    assert 1 == site.provider.steps.count("create")


async def test_create_is_given_up_after_two_readings_of_which_the_second_is_ten_minutes_later(site: Site) -> None:
    queue(site.outbox, 3)
    site.provider.fail("create", UNKNOWN)
    await site.collect()
    # Two readings are not enough, nor are ten minutes.
    for after in (1, 1, 590):
        await site.collect(after)
        assert ("intent", {"sent": 3}) == (site.batch.state, site.count())
    assert 3 == site.provider.steps.count("find")
    told = await site.collect(9)
    assert (1, ["over", "created"]) == (told.sent, [row.state for row in site.batches])
    assert 2 == len({row.batch for row in site.batches})
    assert ([3], 3) == ([len(remote.lines) for remote in site.provider.remote.values()], len(site.provider.submitted))
    assert [(False, 3)] == site.count_calls()


async def test_one_reading_after_ten_minutes_does_not_do(site: Site) -> None:
    queue(site.outbox, 3)
    site.provider.lost, site.provider.hides = UNKNOWN, True
    await site.collect()
    await site.collect(HOUR)
    assert "intent" == site.batch.state
    site.provider.hides = False
    await site.collect()
    assert ("created", 1) == (site.batch.state, site.provider.steps.count("create"))


async def test_create_that_is_lost_a_second_time_is_asked_live(site: Site) -> None:
    queue(site.outbox, 3)
    site.provider.fail("create", UNKNOWN, UNKNOWN)
    for after in (0, 1, 600, 1, 600):
        await site.collect(after)
    assert ({"live": 3}, []) == (site.count(), site.count_calls())


@pytest.mark.parametrize("step", ["upload", "create"])
async def test_refusal_that_may_pass_is_tried_again_with_the_same_batch(site: Site, step: str) -> None:
    queue(site.outbox, 3)
    site.provider.fail(step, RateLimitedError("wait"), ProviderUnavailableError("not now"))
    for said in ("wait", "not now"):
        told = await site.collect()
        assert said in told.problems[0]
        assert ("intent", None) == (site.batch.state, site.batch.created_at)
    assert 1 == (await site.collect()).sent
    assert ("created", 1) == (site.batch.state, len(site.provider.remote))


@pytest.mark.parametrize("step", ["upload", "create"])
async def test_refusal_ends_the_lines_with_the_providers_words(site: Site, step: str) -> None:
    queue(site.outbox, 3)
    site.provider.fail(step, RequestRefusedError("takes no batches"))
    told = await site.collect()
    assert "takes no batches" in told.problems[0]
    assert {("refused", "takes no batches")} == set(site.outbox.list_lines("plan-1").values())
    assert ("over", [], 1) == (site.batch.state, site.count_calls(), len(list_ready(site.outbox)))


async def test_batch_that_fails_in_validation_ends_its_lines_with_the_providers_words(site: Site) -> None:
    queue(site.outbox, 3)
    await site.collect()
    site.provider.end("refused")
    await site.collect(61)
    assert {("refused", "too many lines")} == set(site.outbox.list_lines("plan-1").values())
    assert ("over", "too many lines", []) == (site.batch.state, site.batch.said, site.count_calls())


@pytest.mark.parametrize("by", ["person", "time"])
async def test_batch_that_is_cancelled_is_read_and_the_rest_asked_live(site: Site, by: str) -> None:
    queue(site.outbox, 3)
    await site.collect()
    site.provider.answer = lambda line: Answer(line, REPLY) if line == digest("plan-1", 1) else None
    if by == "person":
        await site.collect(61)
        site.outbox.cancel(site.batch.batch)
        await site.collect()
    else:
        await site.collect(25 * HOUR)
        assert "cancel" not in site.provider.steps
        await site.collect(1.1 * HOUR)
    assert [1] == [remote.cancelled for remote in site.provider.remote.values()]
    await site.collect(900)
    assert ({"done": 1, "live": 2}, "over", [(True, 1)]) == (site.count(), site.batch.state, site.count_calls())


async def test_batch_that_does_not_end_when_it_is_cancelled_is_read_an_hour_later(site: Site) -> None:
    queue(site.outbox, 3)
    await site.collect()
    site.provider.fail("cancel", RequestRefusedError("not now"), RequestRefusedError("not now"))
    await site.collect(26.1 * HOUR)
    assert {"sent": 3} == site.count()
    await site.collect(HOUR)
    assert {"done": 3} == site.count()


async def test_batch_without_a_file_is_waited_for_for_a_quarter_of_an_hour_then_asked_once_more_then_live(
    site: Site,
) -> None:
    queue(site.outbox, 3)
    await site.collect()
    for batches in (1, 2):
        site.provider.end("no file")
        # Counted from the first look that misses the file, whenever the batch was sent.
        for after in (HOUR, 450, 449):
            assert () == (await site.collect(after)).problems
            assert ({"sent": 3}, batches) == (site.count(), len(site.provider.remote))
        told = await site.collect(61)
        assert NO_FILE in told.problems[0]

    assert {("live", NO_FILE)} == set(site.outbox.list_lines("plan-1").values())
    assert ({2: 3}, ["over"] * 2) == (Counter(site.provider.submitted.values()), [row.state for row in site.batches])
    assert (0, 0.0, UnconfirmedCalls()) == site.read()


async def test_file_that_follows_its_batch_is_read_and_nothing_is_sent_again(site: Site) -> None:
    queue(site.outbox, 3)
    site.provider.lost, site.provider.hides = UNKNOWN, True
    await site.collect()
    await site.collect(1)
    site.provider.hides = False
    # The batch was found hours after the list did not show it.
    await site.collect(2 * HOUR)
    site.provider.end("no file")
    await site.collect(61)
    await site.collect(800)
    site.provider.end()
    told = await site.collect(61)
    assert (3, {"done": 3}, 1) == (told.kept, site.count(), len(site.provider.remote))


@pytest.mark.parametrize("by", ["person", "time"])
async def test_batch_that_is_cancelled_and_has_no_file_is_asked_live(site: Site, by: str) -> None:
    queue(site.outbox, 3)
    await site.collect()
    site.provider.end("no file")
    if by == "person":
        site.outbox.cancel(site.batch.batch)
    for after in (26.1 * HOUR if by == "time" else 61, 901):
        await site.collect(after)
    assert ({"live": 3}, 1) == (site.count(), len(site.provider.remote))


async def test_batch_that_its_provider_has_no_more_is_asked_live_after_its_time(site: Site) -> None:
    queue(site.outbox, 3)
    await site.collect()
    gone = ModelNotFoundError("No such batch")
    site.provider.fail("look", gone, gone)
    told = await site.collect(61)
    assert f"(batch-0) of {PLACE.model}: No such batch" in told.problems[0]
    assert {"sent": 3} == site.count()
    await site.collect(26 * HOUR)
    assert ({"live": 3}, "over") == (site.count(), site.batch.state)


async def test_batch_of_another_key_is_left_with_a_message_until_somebody_cancels_it(site: Site) -> None:
    queue(site.outbox, 3)
    await site.collect()
    site.provider.end()
    queue(site.outbox, 2, "plan-2")
    for after in (61, 27 * HOUR):
        site.provider.fail("open", *[CredentialsError("another key is set")] * 2)
        batch, waiting = (await site.collect(after)).problems
        assert f"Batch {site.batch.batch[:12]} (batch-0)" in batch
        assert batch.endswith(f"of {PLACE.model}: another key is set")
        assert f"Waiting calls to {PLACE.model}: another key is set" == waiting
        assert ({"sent": 3}, {"waits": 2}) == (site.count(), site.count("plan-2"))
    site.outbox.cancel(site.batch.batch)
    site.provider.fail("open", *[CredentialsError("another key is set")] * 2)
    await site.collect()
    assert {"live": 3} == site.count()


async def test_batch_that_was_never_sent_is_asked_live_once_somebody_cancels_it_or_its_time_is_over(
    site: Site,
) -> None:
    site.provider.fail("upload", *[ProviderUnavailableError("down")] * 9)
    for plan_id, after in (("plan-1", 0.0), ("plan-2", 26.1 * HOUR)):
        queue(site.outbox, 3, plan_id)
        await site.collect()
        if not after:
            site.outbox.cancel(site.batch.batch)
        await site.collect(after)
        assert {"live": 3} == site.count(plan_id)
    assert (set(), []) == (set(site.provider.submitted), site.count_calls())


async def test_error_of_one_batch_does_not_stop_the_others(site: Site) -> None:
    for number in range(3):
        queue(site.outbox, 3, f"plan-{number}", replace(PLACE, model=f"openai/model-{number}"))
    await site.collect()
    site.provider.end()
    site.provider.fail("look", KeyError("status"), ProviderError("no"))
    told = await site.collect(61)
    assert (3, 2) == (told.kept, len(told.problems))
    assert 6 == (await site.collect(61)).kept


async def test_sent_lines_of_a_run_that_has_ended_are_kept_and_do_not_wait_again(site: Site) -> None:
    queue(site.outbox, 3)
    await site.collect()
    site.outbox.end("run of plan-1")
    site.provider.answer = lambda line: Answer(line, REPLY) if line == digest("plan-1", 1) else None
    site.provider.end()
    told = await site.collect(61)
    assert (0, 1, False) == (told.sent, told.kept, told.is_open)
    assert ({}, (1, 0.001, UnconfirmedCalls())) == (site.count(), site.read())
    assert [] == run_sql(site.place, "SELECT 1 FROM exemplars_lines")


async def test_lines_wait_for_company_while_batches_are_attended(site: Site) -> None:
    queue(site.outbox, 1)
    await site.collect()
    queue(site.outbox, 1, "plan-2")
    site.provider.end()
    told = await site.collect(61, sends=False)
    assert (0, 1, True, {"waits": 1}) == (told.sent, told.kept, told.is_open, site.count("plan-2"))
    assert 1 == (await site.collect()).sent


async def test_one_at_a_time_collects(site: Site) -> None:
    queue(site.outbox, 3)
    assert site.outbox.change(lambda connection: take_lease(connection, "other", site.clock()))
    told = await collect(site.outbox, site.provider.open, site.clock)
    assert (0, (BUSY,), []) == (told.sent, told.problems, site.provider.steps)
    # One that was killed is waited for for a minute.
    assert 1 == (await site.collect(61)).sent


async def test_lease_is_looked_at_before_a_create(site: Site) -> None:
    queue(site.outbox, 3)

    class Stealing(FakeProvider):
        def step(self, name: str) -> None:
            super().step(name)
            if name == "upload":
                run_sql(site.place, "UPDATE exemplars_collector SET holder = 'other', until = until + 1e9")

    site.provider = Stealing()
    told = await collect(site.outbox, site.provider.open, site.clock)
    assert (0, ("Another process has begun to collect",)) == (told.sent, told.problems)
    assert ({}, None) == (site.provider.remote, site.batch.created_at)


def test_batch_takes_the_oldest_lines_as_many_as_fit(place: DatabaseUrl) -> None:
    with Outbox(place) as outbox:
        for number in range(3):
            outbox.queue(make_run(f"plan-{number}"), PLACE, make_asked(4, size=1000), 1e9, None)
        size = int(run_sql(place, "SELECT max(bytes) FROM exemplars_lines")[0][0])
        written, made = PLACE.to_json(), []
        for most_lines, most_bytes in ((5, 10**9), (99, 3 * size), (99, 1), (99, 10**9)):
            row = outbox.change(lambda connection: intend(connection, written, 1.0, most_lines, most_bytes))  # noqa: B023
            assert row is not None
            made.append(row.lines)
        assert [5, 3, 1, 3] == made
        assert None is outbox.change(lambda connection: intend(connection, written, 1.0))
        assert {"sent": 4} == dict(count_lines(outbox, "plan-0"))
        first = run_sql(place, "SELECT DISTINCT batch FROM exemplars_lines WHERE plan_id = 'plan-0'")
        assert 1 == len(first)
