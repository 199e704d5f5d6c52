"""The replies on a store are listed, cleared by model, and pruned by plan, but for plans that are used."""

import asyncio
import http.client
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.s3 import S3, list_keys

from engine.errors import StoreError
from engine.llm.request import Reply
from engine.replies.admin import count_kept_replies
from engine.replies.remote_admin import RemovedSegments, clear_stored, count_stored, list_stored, prune_segments
from engine.replies.replies import ReplyStore
from engine.replies.uploader import TOUCH_SECONDS
from engine.settings import RepliesPlace
from engine.system.filesystem import open_folder, write_whole

pytestmark = pytest.mark.slow

HANDLE, OTHER = "u22a8.toolshed", "u22a8.kitchen"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(params=["s3", "folder"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of this test's own, that is not there yet."""
    return str(tmp_path / "store") if request.param == "folder" else str(request.getfixturevalue("s3_uri"))


def keep(uri: str, folder: Path, plan_id: str, handle: str = HANDLE, count: int = 3, days: float | None = None) -> None:
    """A plan, which in a folder was used so many days ago."""

    async def keep_all() -> None:
        with ReplyStore(RepliesPlace(str(folder), uri), plan_id, handle) as kept:
            for number in range(count):
                await kept.keep(str(number), Reply("one", "stop"))

    asyncio.run(keep_all())
    if days is not None:
        moment = (NOW - timedelta(days=days)).timestamp()
        for path in Path(uri, f"plan={plan_id}").rglob("*.zst"):
            os.utime(path, (moment, moment))


def list_plans(uri: str) -> list[str]:
    return [plan.plan_id for plan in list_stored(uri)]


def test_listing_has_what_is_known_of_each_plan_by_one_request(tmp_path: Path, uri: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    keep(uri, tmp_path / "one", "a", HANDLE, 3)
    keep(uri, tmp_path / "one", "b", OTHER, 5)
    keep(uri, tmp_path / "one", "c", "", 1)
    keep(uri, tmp_path / "other", "a", HANDLE, 7)
    plans = {plan.plan_id: plan for plan in list_stored(uri)}

    assert {"a": (HANDLE, 7, 2), "b": (OTHER, 5, 1), "c": (None, 1, 1)} == {
        plan_id: (plan.handle, plan.replies, plan.segments) for plan_id, plan in plans.items()
    }
    assert all(before < plan.used_at and plan.bytes > 200 for plan in plans.values())
    assert [7, 0] == [count_stored(uri, plan_id) for plan_id in ("a", "nowhere")]


def test_replies_of_a_plan_that_only_the_store_has_are_counted(tmp_path: Path, uri: str) -> None:
    keep(uri, tmp_path / "one", "a")

    assert [3, 3, None, None] == [
        count_kept_replies(RepliesPlace(str(tmp_path / folder), where), plan_id)
        for folder, where, plan_id in (
            ("one", uri, "a"),
            ("other", uri, "a"),
            ("other", uri, "b"),
            ("other", None, "a"),
        )
    ]


def test_store_that_is_not_there_is_empty(uri: str) -> None:
    assert [] == list_stored(uri)
    assert RemovedSegments() == clear_stored(uri, None) == prune_segments(uri, 1, NOW)


@pytest.mark.parametrize(
    "act",
    [list_stored, lambda uri: clear_stored(uri, None), lambda uri: prune_segments(uri, 1, NOW)],
    ids=["list", "clear", "prune"],
)
def test_store_that_cannot_be_listed_is_an_error(s3: S3, s3_uri: str, act: Callable[[str], object]) -> None:
    s3.break_after(0)
    with pytest.raises(StoreError, match="EXEMPLARS_REPLIES_URI"):
        act(s3_uri)


def test_clearing_takes_the_plans_of_one_model_but_for_those_that_stay(tmp_path: Path, uri: str) -> None:
    for plan_id, handle in (("a", HANDLE), ("b", OTHER), ("c", HANDLE), ("d", "")):
        keep(uri, tmp_path, plan_id, handle)
    removed = clear_stored(uri, HANDLE, ["c"])
    assert (["a"], 3, 1, ()) == (
        [plan.plan_id for plan in removed.plans],
        removed.replies,
        removed.segments,
        removed.failed,
    )
    assert {"b", "c", "d"} == set(list_plans(uri))
    assert 3 == len(clear_stored(uri, None).plans)
    assert [] == list_plans(uri)


def test_pruning_takes_what_was_unused_for_so_long(tmp_path: Path) -> None:
    uri = str(tmp_path / "store")
    for plan_id, days in (("ancient", 99), ("old", 90.1), ("new", 89.9)):
        keep(uri, tmp_path / "one", plan_id, days=days)
    would = prune_segments(uri, 90, NOW, dry_run=True)
    assert ["ancient", "old"] == [plan.plan_id for plan in would.plans]
    assert ["ancient", "old", "new"] == list_plans(uri)
    removed = prune_segments(uri, 90, NOW)

    assert would == removed
    assert (2, 6) == (removed.segments, removed.replies)
    assert ["new"] == list_plans(uri)
    assert removed.bytes == would.bytes > 0
    assert [] == [path for path in Path(uri).iterdir() if path.name != "plan=new"]


def test_pruning_an_object_store_goes_by_its_clock(tmp_path: Path, s3_uri: str) -> None:
    keep(s3_uri, tmp_path, "a")
    now = datetime.now(UTC)

    assert () == prune_segments(s3_uri, 1, now + timedelta(days=1)).plans
    assert ["a"] == [plan.plan_id for plan in prune_segments(s3_uri, 1, now + timedelta(days=1.1)).plans]
    assert not [key for key in list_keys(s3_uri) if "plan=" in key]


def test_plan_that_is_opened_is_not_pruned(tmp_path: Path) -> None:
    uri = str(tmp_path / "store")
    keep(uri, tmp_path / "one", "a", days=99)
    with ReplyStore(RepliesPlace(str(tmp_path / "other"), uri), "a"):
        pass

    assert () == prune_segments(uri, 90, NOW).plans


def test_plan_that_is_used_between_the_listing_and_the_removal_stays(tmp_path: Path, s3: S3, s3_uri: str) -> None:
    keep(s3_uri, tmp_path / "one", "a")
    # A store's clock may have whole seconds.
    time.sleep(1.1)
    later = datetime.now(UTC) + timedelta(days=1, seconds=TOUCH_SECONDS)
    time.sleep(1.1)
    let_through = s3.let_through
    asked: list[str] = []

    def use_meanwhile(method: str) -> bool:
        asked.append(method)
        if len(asked) == 2:
            put_raw(s3, s3_uri, f"plan=a/handle={HANDLE}/0123456789abcdef.used")
        return let_through(method)

    s3.let_through = use_meanwhile  # type: ignore[method-assign]
    try:
        assert RemovedSegments() == prune_segments(s3_uri, 1, later)
    finally:
        s3.let_through = let_through  # type: ignore[method-assign]

    # The listing, the second look, and what was put before that was answered.
    assert ["GET", "GET", "PUT"] == asked
    assert 3 == count_stored(s3_uri, "a")


def put_raw(s3: S3, uri: str, name: str) -> None:
    """Puts an empty file, as another machine would, past the client of this process."""
    connection = http.client.HTTPConnection(s3.url.removeprefix("http://"), timeout=10)
    connection.request("PUT", f"/{uri.removeprefix('s3://')}/{name}", b"")
    assert 200 == connection.getresponse().status
    connection.close()


def test_what_is_no_plan_stays(tmp_path: Path, uri: str) -> None:
    filesystem, root = open_folder(uri)
    for name in ("notes.txt", "notes/plan=a/b.txt", "plan=a"):
        write_whole(filesystem, f"{root}/{name}", b"mine")

    assert RemovedSegments() == clear_stored(uri, None)
    assert ["notes.txt", "notes/plan=a/b.txt", "plan=a"] == list_keys(uri)


def test_plan_that_cannot_be_removed_is_named_and_the_others_go(tmp_path: Path, s3: S3, s3_uri: str) -> None:
    for plan_id in "ab":
        keep(s3_uri, tmp_path, plan_id)
    let_through = s3.let_through
    s3.let_through = lambda method: method not in {"POST", "DELETE"}  # type: ignore[method-assign]
    try:
        removed = clear_stored(s3_uri, None)
    finally:
        s3.let_through = let_through  # type: ignore[method-assign]

    assert ((), 2) == (removed.plans, len(removed.failed))
    assert removed.failed[0].startswith("plan a: ")
    assert {"a", "b"} == set(list_plans(s3_uri))
