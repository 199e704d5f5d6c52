"""The cache is bounded in age and size, whole plan by whole plan, and no plan goes while somebody uses it."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.reply_writer import PLAN, kill_after, start_writer

from engine.errors import StoreError
from engine.llm.request import Reply
from engine.replies.admin import BYTES_PER_GB, Removed, clear_cache, count_kept_replies, list_cache, prune_cache
from engine.replies.plan_folder import REMOVED, TURN
from engine.replies.replies import ReplyStore
from engine.settings import RepliesPlace

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HANDLE, OTHER = "u22a8.toolshed", "u22a8.kitchen"


def keep(cache: Path, plan_id: str, days: float = 0, handle: str = HANDLE, count: int = 3) -> Path:
    """A plan that was used so many days ago."""

    async def keep_all() -> None:
        with ReplyStore(RepliesPlace(str(cache)), plan_id, handle) as kept:
            for number in range(count):
                await kept.keep(str(number), Reply("one", "stop"))

    asyncio.run(keep_all())
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(cache / plan_id / TURN, (moment, moment))
    return cache / plan_id


def keep_old_version(cache: Path, plan_id: str, days: float = 0) -> Path:
    """A plan of a version that had neither locks nor a handle."""
    (cache / plan_id).mkdir(parents=True)
    path = cache / plan_id / "replies.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("CREATE TABLE replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")
        old.execute("""INSERT INTO replies VALUES ('key', '{"text": "one", "finish": "stop"}')""")
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (moment, moment))
    return cache / plan_id


def prune(cache: Path, max_days: float = 1000, max_gb: float = 1000, but_for: tuple[str, ...] = ()) -> Removed:
    return prune_cache(str(cache), max_days, max_gb, NOW, but_for)


def list_plans(cache: Path) -> list[str]:
    return [plan.plan_id for plan in list_cache(str(cache))]


def measure(*folders: Path) -> int:
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def test_listing_has_the_longest_unused_first_with_what_is_known_of_each(tmp_path: Path) -> None:
    folders = [keep(tmp_path, "new", 1), keep_old_version(tmp_path, "old", 9), keep(tmp_path, "middle", 5, OTHER, 7)]
    plans = list_cache(str(tmp_path))

    assert [("old", None, 1), ("middle", OTHER, 7), ("new", HANDLE, 3)] == [
        (plan.plan_id, plan.handle, plan.replies) for plan in plans
    ]
    assert [timedelta(days=days) for days in (9, 5, 1)] == [NOW - plan.used_at for plan in plans]
    assert {measure(folder) for folder in folders} == {plan.bytes for plan in plans}
    assert not any(plan.in_use for plan in plans)


def test_replies_of_one_plan_are_counted_where_they_can_be_read(tmp_path: Path) -> None:
    keep(tmp_path, "whole", count=5)
    keep(tmp_path, "damaged")
    (tmp_path / "damaged" / "replies.sqlite").write_bytes(b"no database, but long enough for one" * 100)

    assert [5, None, None] == [
        count_kept_replies(RepliesPlace(str(tmp_path)), plan) for plan in ("whole", "damaged", "nowhere")
    ]
    assert not (tmp_path / "nowhere").exists()


def test_listing_knows_what_is_in_use(tmp_path: Path) -> None:
    with ReplyStore(RepliesPlace(str(tmp_path)), "plan"):
        assert [True] == [plan.in_use for plan in list_cache(str(tmp_path))]


def test_opening_counts_as_use(tmp_path: Path) -> None:
    keep(tmp_path, "plan", days=9)
    before = time.time() - 1
    with ReplyStore(RepliesPlace(str(tmp_path)), "plan"):
        [plan] = list_cache(str(tmp_path))

    assert before < plan.used_at.timestamp()


def test_damaged_plan_is_listed_without_what_cannot_be_read(tmp_path: Path) -> None:
    (keep(tmp_path, "plan") / "replies.sqlite").write_bytes(b"no database" * 1000)
    [plan] = list_cache(str(tmp_path))

    assert (None, None) == (plan.handle, plan.replies)
    assert plan.bytes >= 11_000


@pytest.mark.parametrize(
    "act", [lambda cache: list_cache(str(cache)), prune, lambda cache: clear_cache(str(cache), None)]
)
def test_cache_that_is_not_there_is_empty_and_stays_so(tmp_path: Path, act: Callable[[Path], object]) -> None:
    assert act(tmp_path / "cache") in ([], Removed(0, 0, 0))
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "act", [lambda cache: list_cache(str(cache)), prune, lambda cache: clear_cache(str(cache), None)]
)
def test_cache_that_is_no_folder_is_an_error(tmp_path: Path, act: Callable[[Path], object]) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreError, match="EXEMPLARS_CACHE_DIR"):
        act(tmp_path / "cache")


def test_what_was_unused_for_longer_than_the_bound_goes(tmp_path: Path) -> None:
    folders = [keep(tmp_path, "ancient", 91), keep_old_version(tmp_path, "old", 90.01)]
    keep(tmp_path, "new", 89.9)
    size = measure(*folders)

    assert Removed(2, 4, size) == prune(tmp_path, max_days=90)
    assert ["new"] == list_plans(tmp_path)


def test_over_the_size_the_longest_unused_go_first(tmp_path: Path) -> None:
    sizes = [measure(keep(tmp_path, str(days), days, count=50)) for days in (4, 3, 2, 1)]
    removed = prune(tmp_path, max_gb=(sum(sizes) - sizes[0] - 1) / BYTES_PER_GB)

    assert Removed(2, 100, sizes[0] + sizes[1]) == removed
    assert ["2", "1"] == list_plans(tmp_path)


def test_within_the_bounds_nothing_goes(tmp_path: Path) -> None:
    size = sum(measure(keep(tmp_path, str(days), days)) for days in (2, 1))

    assert Removed(0, 0, 0) == prune(tmp_path, max_days=2.1, max_gb=size / BYTES_PER_GB)


def test_plan_of_the_run_and_plans_in_use_stay(tmp_path: Path) -> None:
    keep(tmp_path, "mine", 99)
    for plan_id in ("used", "unused"):
        keep(tmp_path, plan_id, 99)
    with ReplyStore(RepliesPlace(str(tmp_path)), "used"):
        removed = prune(tmp_path, max_days=1, max_gb=1e-9, but_for=("mine",))

    assert (1, ()) == (removed.plans, removed.in_use)
    assert {"mine", "used"} == set(list_plans(tmp_path))


def test_plan_of_a_process_that_was_killed_goes(tmp_path: Path) -> None:
    kill_after(start_writer(tmp_path), 50)

    assert [PLAN] == list_plans(tmp_path)
    assert 1 == prune(tmp_path, max_gb=1e-9).plans


def test_what_is_no_plan_stays(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    (tmp_path / "b.txt").write_text("mine")

    assert Removed(0, 0, 0) == prune(tmp_path, max_gb=1e-9)
    assert {"notes", "b.txt"} == {path.name for path in tmp_path.iterdir()}


def test_half_of_a_plan_that_a_dead_process_left_goes(tmp_path: Path) -> None:
    keep(tmp_path, "plan").rename(tmp_path / f"{REMOVED}1")

    assert [] == list_plans(tmp_path)
    prune(tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_plan_that_cannot_be_removed_is_named_and_the_others_go(tmp_path: Path) -> None:
    keep(tmp_path, "stuck", 9)
    keep(tmp_path, "loose", 8)
    (tmp_path / "stuck" / TURN).unlink()
    (tmp_path / "stuck" / TURN).mkdir()
    os.utime(tmp_path / "stuck" / TURN, (0, 0))
    removed = prune(tmp_path, max_days=1)

    assert 1 == removed.plans
    assert [f"{tmp_path}/stuck: Is a directory"] == list(removed.failed)


def test_clearing_takes_the_plans_of_one_model(tmp_path: Path) -> None:
    for plan_id, handle in (("a", HANDLE), ("b", OTHER), ("c", HANDLE)):
        keep(tmp_path, plan_id, handle=handle)
    keep_old_version(tmp_path, "d")
    removed = clear_cache(str(tmp_path), HANDLE)

    assert (2, 6) == (removed.plans, removed.replies)
    assert {"b", "d"} == set(list_plans(tmp_path))
    assert 2 == clear_cache(str(tmp_path), None).plans
    assert [] == list_plans(tmp_path)


def test_clearing_names_what_is_in_use_and_leaves_it(tmp_path: Path) -> None:
    for plan_id in ("used", "unused"):
        keep(tmp_path, plan_id)
    with ReplyStore(RepliesPlace(str(tmp_path)), "used") as kept:
        removed = clear_cache(str(tmp_path), HANDLE)
        assert Reply("one", "stop") == kept.find("0")

    assert (1, ("used",)) == (removed.plans, removed.in_use)


async def test_plan_that_is_removed_before_it_is_opened_is_made_anew(tmp_path: Path) -> None:
    for _ in range(6):
        with ReplyStore(RepliesPlace(str(tmp_path)), "plan") as kept:
            await kept.keep("key", Reply("one", "stop"))
        removed, opened = await asyncio.gather(
            asyncio.to_thread(clear_cache, str(tmp_path), None),
            asyncio.to_thread(ReplyStore, RepliesPlace(str(tmp_path)), "plan"),
        )
        with opened:
            found = opened.find("key")
            assert (removed.plans == 0) == (found is not None)
            assert Reply("two", "stop") == await opened.keep("other", Reply("two", "stop"))
        clear_cache(str(tmp_path), None)
