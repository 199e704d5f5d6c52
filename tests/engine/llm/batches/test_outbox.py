"""Lines count from the moment they are queued, each is queued once, and lines that no run waits for are dropped."""

import asyncio
import hashlib
import json
import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fakes.batch_lines import (
    BOUND_USD,
    HANDLE,
    LIMIT,
    PLACE,
    PRICED,
    count_lines,
    list_ready,
    make_asked,
    make_run,
    queue,
)
from fakes.reply_tables import run_sql

from engine.errors import SharedBudgetError
from engine.llm.batches.outbox import Outbox, list_awaited
from engine.llm.client.request import Reply
from engine.llm.replies.admin import list_cache, list_prunable, remove_plans
from engine.llm.replies.changes import DEAD_SECONDS, SharedLimit
from engine.llm.replies.replies import ReplyStore, UnconfirmedCalls
from engine.settings import DatabaseUrl

LATER = datetime(2400, 1, 1, tzinfo=UTC)


def count_calls(place: DatabaseUrl) -> int:
    return int(run_sql(place, "SELECT count(*) FROM exemplars_calls")[0][0])


def set_state(place: DatabaseUrl, key: str, state: str) -> None:
    run_sql(place, "UPDATE exemplars_lines SET state = :state WHERE key = :key", state=state, key=key)


def test_line_is_queued_once_and_the_runs_row_comes_back_whole(place: DatabaseUrl) -> None:
    run = make_run(parent="backfill-1")
    with Outbox(place) as outbox:
        assert 3 == outbox.queue(run, PRICED, make_asked(3), math.inf, None)
        assert 1 == outbox.queue(run, PRICED, make_asked(4), math.inf, None)
        assert 0 == outbox.queue(run, PRICED, make_asked(4), math.inf, None)
        assert (Counter(waits=4), 4) == (count_lines(outbox, "plan-1"), count_calls(place))
        assert {f"key {number}": ("waits", "") for number in range(4)} == outbox.list_lines("plan-1")
        [found] = outbox.find_runs(plan_id="plan-1", handle=HANDLE, run_id=run.run_id)
        assert found.queued_at
        assert replace(run, inputs=b"", queued_at=found.queued_at, waits=4) == found
        assert [] == outbox.find_runs(plan_id="plan-1", handle="u22a8.other")
        # The run resumes from the inputs of its first plan.
        outbox.queue(replace(found, inputs=b"other"), PRICED, [], math.inf, None)
        assert run.inputs == outbox.read_inputs(run.run_id)
        assert [found.run_id] == [each.run_id for each in list_awaited(place, HANDLE)]
    [[custom_id, body, size]] = run_sql(
        place, "SELECT custom_id, body, bytes FROM exemplars_lines WHERE key = :key", key="key 0"
    )
    assert (hashlib.sha256(b"plan-1\0key 0").hexdigest(), len(body.encode())) == (custom_id, size)
    assert make_asked(1)[0].body == json.loads(body)


def test_lines_are_queued_in_order_until_a_limit_has_no_room(place: DatabaseUrl) -> None:
    with Outbox(place) as outbox:
        assert 3 == queue(outbox, 5, left_usd=3 * BOUND_USD)
        # What is out counts under the run's limit, which does not know of it.
        assert 0 == queue(outbox, 5, left_usd=3 * BOUND_USD)
        assert 1 == queue(outbox, 5, left_usd=4 * BOUND_USD)
        assert 2 == queue(outbox, 9, "plan-2", limit=SharedLimit("backfill-1", 2 * BOUND_USD))
        assert 1 == queue(outbox, 9, "plan-3", limit=SharedLimit("backfill-1", 3 * BOUND_USD))
        # Nobody knows what these cost.
        assert 2 == outbox.queue(make_run("plan-4"), PLACE, make_asked(2, None), 0.0, LIMIT)


async def test_what_is_out_counts_under_the_limit_of_a_backfill_and_is_not_lost(place: DatabaseUrl) -> None:
    with Outbox(place) as outbox:
        assert 90 == await asyncio.to_thread(queue, outbox, 90, limit=LIMIT)
        with ReplyStore(place, "plan-1") as kept, ReplyStore(place, "other") as other:
            assert (UnconfirmedCalls(), 0.0) == (kept.lost, kept.kept_usd)
            other.abandon(await other.begin(0.1, LIMIT))
            with pytest.raises(SharedBudgetError, match=r"\$1\.0000 of it is spent"):
                await kept.begin(0.01, LIMIT)
        await asyncio.to_thread(outbox.end, "run of plan-1")
        with ReplyStore(place, "other") as other:
            await other.begin(0.8, LIMIT)


def test_run_that_ends_drops_what_is_not_sent_and_leaves_what_is(place: DatabaseUrl) -> None:
    with Outbox(place) as outbox:
        queue(outbox, 3)
        queue(outbox, 2, "plan-2")
        set_state(place, "key 0", "sent")
        set_state(place, "key 1", "live")
        assert [] == list_ready(outbox)
        outbox.end("run of plan-1")
        assert (Counter(sent=1), Counter(sent=1, live=1)) == tuple(
            count_lines(outbox, plan_id) for plan_id in ("plan-1", "plan-2")
        )
        # That of a line that has ended with a reply stays, as any call's.
        assert 4 == count_calls(place)
        # A new run of the plan finds the open line, and adds the missing ones.
        assert 2 == queue(outbox, 3)
        set_state(place, "key 0", "done")
        assert ["run of plan-2"] == list_ready(outbox)


def test_plan_that_waits_for_a_batch_is_neither_pruned_nor_cleared(place: DatabaseUrl) -> None:
    for plan_id in ("plan-1", "plan-2"):

        async def keep(plan_id: str = plan_id) -> None:
            with ReplyStore(place, plan_id, HANDLE) as kept:
                await kept.keep("other", Reply("one", "stop"))

        asyncio.run(keep())
    with Outbox(place) as outbox:
        queue(outbox, 2)
        queue(outbox, 2, "plan-2")
        run_sql(place, f"UPDATE exemplars_openings SET used_at = used_at - {DEAD_SECONDS}")
        assert [] == list_prunable(place, 1, 1e-9, LATER)
        assert [] == remove_plans(place, list_cache(place, HANDLE))
        set_state(place, "key 0", "sent")
        outbox.end("run of plan-1")
        assert {"plan-1", "plan-2"} == {plan.plan_id for plan in list_cache(place) if plan.in_use}
        set_state(place, "key 0", "done")
        removed = remove_plans(place, list_prunable(place, 1, 1e-9, LATER))
        assert ["plan-1"] == [plan.plan_id for plan in removed]
        assert [("plan-2",)] == run_sql(place, "SELECT DISTINCT plan_id FROM exemplars_lines")
