"""The cache is bounded in age and size, whole plan by whole plan, and no plan goes while somebody uses it."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from fakes.reply_tables import age_plan, place_in, run_sql
from fakes.reply_writer import PLAN, kill_after, start_writer
from sqlalchemy import Connection

from engine.llm.client.request import Reply
from engine.llm.replies.admin import (
    BYTES_PER_GB,
    CachedPlan,
    count_kept_replies,
    list_cache,
    list_prunable,
    remove_plans,
)
from engine.llm.replies.changes import DEAD_SECONDS, PlanSession, SharedLimit, apply_changes
from engine.llm.replies.database import Database
from engine.llm.replies.replies import ReplyStore
from engine.settings import DatabaseUrl

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
# More days than between that moment and any run of the tests.
ANY_DAYS = 100_000
HANDLE, OTHER = "u22a8.toolshed", "u22a8.kitchen"


def keep(place: DatabaseUrl, plan_id: str, days: float = 0, handle: str = HANDLE, count: int = 3) -> None:

    async def keep_all() -> None:
        with ReplyStore(place, plan_id, handle) as kept:
            await asyncio.gather(*(kept.keep(str(number), Reply("one", "stop")) for number in range(count)))

    asyncio.run(keep_all())
    age_plan(place, plan_id, NOW - timedelta(days=days))


def prune(place: DatabaseUrl, max_days: float = 1000, max_gb: float = 1000) -> list[CachedPlan]:
    return remove_plans(place, list_prunable(place, max_days, max_gb, NOW), NOW - timedelta(days=max_days))


def list_plans(place: DatabaseUrl) -> list[str]:
    return [plan.plan_id for plan in list_cache(place)]


def test_listing_has_the_longest_unused_first_with_what_is_known_of_each(place: DatabaseUrl) -> None:
    keep(place, "new", 1)
    keep(place, "middle", 5, OTHER, 7)
    keep(place, "nameless", 7, "")
    plans = list_cache(place)
    sizes = "SELECT sum(length(reply) + length(key)) FROM exemplars_replies GROUP BY plan_id ORDER BY plan_id"

    assert [("nameless", None, 3), ("middle", OTHER, 7), ("new", HANDLE, 3)] == [
        (plan.plan_id, plan.handle, plan.replies) for plan in plans
    ]
    assert [timedelta(days=days) for days in (7, 5, 1)] == [NOW - plan.used_at for plan in plans]
    assert not any(plan.in_use for plan in plans)
    before = time.time() - 1
    with ReplyStore(place, "new"):
        *_, found = list_cache(place)
        assert (True, True) == (found.in_use, before < found.used_at.timestamp())
    assert [(plan.bytes,) for plan in sorted(plans, key=lambda plan: plan.plan_id)] == run_sql(place, sizes)
    assert [7, 0] == [count_kept_replies(place, plan, "id") for plan in ("middle", "nowhere")]


def test_replies_of_another_embedded_model_do_not_count(place: DatabaseUrl) -> None:
    async def keep_all() -> None:
        with ReplyStore(place, "plan", HANDLE) as kept:
            for key, asked in (("hosted", None), ("one", "a"), ("two", "b"), ("three", "b")):
                await kept.keep(key, Reply("one", "stop"), identity=asked)

    asyncio.run(keep_all())

    assert [2, 3, 1] == [count_kept_replies(place, "plan", identity) for identity in ("a", "b", "c")]


def test_where_nothing_is_nothing_is_made(place: DatabaseUrl, tmp_path: Path) -> None:
    assert ([], 0) == (list_cache(place), count_kept_replies(place, "plan", "id"))
    assert [] == prune(place, max_gb=1e-9) == remove_plans(place, list_cache(place))
    assert not (tmp_path / "cache").exists()


def test_what_was_unused_for_longer_than_the_bound_goes_and_over_the_size_the_longest_unused(
    place: DatabaseUrl,
) -> None:
    keep(place, "ancient", 91)
    keep(place, "new", 89.9)
    [ancient] = list_prunable(place, 90, 1000, NOW)

    assert [] == prune(place, max_days=91.1)
    assert [ancient] == prune(place, max_days=90)
    assert ["new"] == list_plans(place)
    assert [(3,)] == run_sql(place, "SELECT count(*) FROM exemplars_replies")

    remove_plans(place, list_cache(place))
    for days in (4, 3, 2, 1):
        keep(place, str(days), days, count=50)
    plans = list_cache(place)
    sizes = [plan.bytes for plan in plans]

    assert [] == prune(place, max_gb=sum(sizes) / BYTES_PER_GB)
    assert plans[:2] == prune(place, max_gb=(sum(sizes) - sizes[0] - 1) / BYTES_PER_GB)
    assert ["2", "1"] == list_plans(place)


def test_plans_in_use_stay(place: DatabaseUrl) -> None:
    for plan_id in ("used", "unused"):
        keep(place, plan_id, 99)
    keep(place, "young")
    keep(place, "other", handle=OTHER)
    with ReplyStore(place, "used") as kept:
        assert ["unused"] == [plan.plan_id for plan in prune(place, max_days=1)]
        assert {"used", "young", "other"} == set(list_plans(place))
        cleared = remove_plans(place, list_cache(place, HANDLE))
        assert Reply("one", "stop") == kept.find("0")

    assert [("young", 3)] == [(plan.plan_id, plan.replies) for plan in cleared]
    assert {"used", "other"} == set(list_plans(place))


@pytest.mark.parametrize("is_open", [True, False])
def test_plan_that_is_used_after_it_was_listed_stays(place: DatabaseUrl, is_open: bool) -> None:
    for plan_id in ("opened", "unused"):
        keep(place, plan_id, 99)
    listed = list_prunable(place, 90, 1000, NOW)
    with ReplyStore(place, "opened", HANDLE) as kept:
        if not is_open:
            kept.close()
        removed = remove_plans(place, listed)

    assert ["unused"] == [plan.plan_id for plan in removed]
    assert [("opened", 3)] == [(plan.plan_id, plan.replies) for plan in list_cache(place)]


def test_removal_waits_for_an_opening_that_is_not_committed_yet(place: DatabaseUrl) -> None:
    keep(place, "opened", 99)
    listed, opened, committing = list_cache(place), Event(), Event()

    def open_plan(connection: Connection) -> None:
        apply_changes(connection, [PlanSession("of another machine", "opened", HANDLE)])
        opened.set()
        committing.wait()

    with closing(Database(place)) as database, ThreadPoolExecutor(2) as threads:
        opening = threads.submit(database.change, open_plan)
        opened.wait()
        removing = threads.submit(remove_plans, place, listed)
        wait([removing], timeout=0.5)
        committing.set()
        opening.result()

    assert [] == removing.result()
    assert [3] == [plan.replies for plan in list_cache(place)]


def test_plan_of_a_process_that_was_killed_goes_after_a_minute(place: DatabaseUrl) -> None:
    kill_after(start_writer(place), 50)
    assert [True] == [plan.in_use for plan in list_cache(place)]
    assert [] == prune(place, max_days=-ANY_DAYS)
    run_sql(place, f"UPDATE exemplars_openings SET used_at = used_at - {DEAD_SECONDS}")

    assert [(PLAN, False)] == [(plan.plan_id, plan.in_use) for plan in list_cache(place)]
    assert 1 == len(prune(place, max_days=-ANY_DAYS))
    for table in ("replies", "calls", "openings"):
        assert [(0,)] == run_sql(place, f"SELECT count(*) FROM exemplars_{table}")


async def test_what_was_spent_under_a_limit_goes_when_its_plan_was_unused_for_as_long(place: DatabaseUrl) -> None:
    limit = SharedLimit("backfill", 1.0)
    for plan_id, days in (("old", 91), ("new", 89)):
        with ReplyStore(place, plan_id) as kept:
            await kept.begin(0.5, limit)
        age_plan(place, plan_id, NOW - timedelta(days=days))
        begun_at = (NOW - timedelta(days=days)).timestamp()
        run_sql(place, "UPDATE exemplars_calls SET begun_at = :at WHERE plan_id = :plan", at=begun_at, plan=plan_id)
    assert (1, 1) == (len(prune(place, max_days=90)), len(run_sql(place, "SELECT call FROM exemplars_calls")))
    assert 1 == len(remove_plans(place, list_cache(place)))
    assert 1 == len(run_sql(place, "SELECT call FROM exemplars_calls"))


def test_clearing_gives_the_space_of_a_file_back(tmp_path: Path) -> None:
    place, sizes = place_in(tmp_path), []
    for plan_id, count in (("small", 3), ("large", 800), ("", 0)):
        if count:
            keep(place, plan_id, count=count)
        else:
            remove_plans(place, list_cache(place))
        sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
    before, between, after = sizes

    assert after <= before < between / 2
