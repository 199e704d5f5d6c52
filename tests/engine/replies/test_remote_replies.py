"""Kept replies outlive their machine: another one finds them on the store, whatever becomes of the first."""

import asyncio
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.reply_writer import PLAN, WRITERS, kill_after, make_reply, read_begun, read_kept, start_writer
from fakes.s3 import S3, list_keys
from fakes.waiting import wait_until

from engine.errors import StoreError
from engine.llm.request import Reply
from engine.replies.cost_reservations import PATIENCE_SECONDS, STEP_CALLS
from engine.replies.replies import Lost, ReplyStore, open_replies
from engine.replies.segments import Segment, name_segment, pack_segment, read_token, unpack_segment
from engine.replies.uploader import CLOSE_SECONDS, RETRY_SECONDS, SEGMENT_REPLIES
from engine.settings import RepliesPlace
from engine.system.filesystem import open_folder, write_whole

pytestmark = pytest.mark.slow

HANDLE = "u22a8.toolshed"
REPLY = Reply("one", "stop", prompt_tokens=7, completion_tokens=3, cost_usd=0.01)
TOKEN = "0123456789abcdef"
WAIT_SECONDS = 30.0


@pytest.fixture(params=["s3", "folder"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of this test's own, that is not there yet."""
    return str(tmp_path / "store") if request.param == "folder" else str(request.getfixturevalue("s3_uri"))


class Machine:
    """A machine with a folder of its own, and what it was told."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder = folder
        self.place = RepliesPlace(str(folder), uri)
        self.told: list[str] = []

    def open(self) -> ReplyStore:
        return ReplyStore(self.place, PLAN, HANDLE, self.told.append)

    def keep(self, keys: Iterable[str], text: str = "") -> None:
        """Keeps replies in an opening of their own."""
        with self.open() as kept:
            asyncio.run(keep_all(kept, keys, text))

    def find(self, keys: Iterable[str]) -> dict[str, Reply]:
        with self.open() as kept:
            return {key: reply for key in keys if (reply := kept.find(key)) is not None}

    def lose(self) -> None:
        shutil.rmtree(self.folder)


async def keep_all(kept: ReplyStore, keys: Iterable[str], text: str = "") -> None:
    await asyncio.gather(*(kept.keep(key, Reply(text, "stop") if text else make_reply(key)) for key in keys))


def make_keys(count: int, first: int = 0) -> list[str]:
    return [str(number) for number in range(first, first + count)]


def make_replies(keys: Iterable[str]) -> dict[str, Reply]:
    return {key: make_reply(key) for key in keys}


def list_segments(uri: str) -> list[str]:
    return [name for key in list_keys(uri) if read_token(name := key.rpartition("/")[2])]


def read_segment(uri: str, key: str) -> Segment:
    filesystem, path = open_folder(uri)
    with filesystem.open_input_file(f"{path}/{key}") as stream:
        return unpack_segment(stream.read())


def test_replies_of_one_machine_are_found_on_another(tmp_path: Path, uri: str) -> None:
    keys = make_keys(100)
    one, other = Machine(tmp_path / "one", uri), Machine(tmp_path / "other", uri)
    one.keep(keys)
    with one.open() as kept:
        kept_usd = kept.kept_usd
    one.lose()
    with other.open() as kept:
        assert (kept_usd, Lost()) == (kept.kept_usd, kept.lost)

    assert make_replies(keys) == other.find(keys)
    assert [] == one.told + other.told


def test_segments_lie_under_their_plan_and_model_and_say_what_is_in_them(tmp_path: Path, uri: str) -> None:
    Machine(tmp_path / "one", uri).keep(make_keys(3))
    [key] = list_keys(uri)
    plan, handle, name = key.split("/")

    assert (f"plan={PLAN}", f"handle={HANDLE}") == (plan, handle)
    assert name == name_segment(read_token(name) or "", 1, 3)
    segment = read_segment(uri, key)
    assert (PLAN, HANDLE, make_keys(3)) == (segment.plan_id, segment.handle, sorted(key for key, _ in segment.replies))


def test_what_gathers_is_put_before_the_end(tmp_path: Path, uri: str) -> None:
    keys = make_keys(SEGMENT_REPLIES)
    with Machine(tmp_path / "one", uri).open() as kept:
        asyncio.run(keep_all(kept, keys))
        wait_until(lambda: len(list_segments(uri)) >= 1, WAIT_SECONDS)
        assert make_replies(keys) == Machine(tmp_path / "other", uri).find(keys)


def test_what_has_waited_is_put_before_the_end(tmp_path: Path, uri: str) -> None:
    with Machine(tmp_path / "one", uri).open() as kept:
        asyncio.run(keep_all(kept, ["a"]))
        assert [] == list_segments(uri)
        wait_until(lambda: len(list_segments(uri)) == 1, WAIT_SECONDS)
        assert {"a": make_reply("a")} == Machine(tmp_path / "other", uri).find("a")


def test_each_machine_puts_only_what_no_other_has_put(tmp_path: Path, uri: str) -> None:
    one, other = Machine(tmp_path / "one", uri), Machine(tmp_path / "other", uri)
    one.keep("abc")
    other.keep("def")
    one.keep("abcdefg")
    third = Machine(tmp_path / "third", uri)

    assert make_replies("abcdefg") == third.find("abcdefg")
    assert ["a", "b", "c", "d", "e", "f", "g"] == sorted(
        key for path in list_keys(uri) for key, _ in read_segment(uri, path).replies
    )


def test_replies_from_before_there_was_a_store_are_put_there(tmp_path: Path, uri: str) -> None:
    one = Machine(tmp_path / "one", uri)
    with ReplyStore(one.place.local, PLAN) as kept:
        asyncio.run(keep_all(kept, make_keys(700)))
    one.find(())

    assert make_replies(make_keys(700)) == Machine(tmp_path / "other", uri).find(make_keys(700))


def test_another_store_than_before_gets_all_of_it(tmp_path: Path) -> None:
    one = Machine(tmp_path / "one", str(tmp_path / "first"))
    one.keep("abc")
    Machine(one.folder, str(tmp_path / "second")).keep("d")

    assert make_replies("abcd") == Machine(tmp_path / "other", str(tmp_path / "second")).find("abcd")


def test_opening_is_one_request_and_closing_another_where_anything_is_new(
    tmp_path: Path, s3: S3, s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    let_through = s3.let_through

    def hear(method: str) -> bool:
        asked.append(method)
        return let_through(method)

    monkeypatch.setattr(s3, "let_through", hear)
    one = Machine(tmp_path / "one", s3_uri)
    one.keep("abc")
    assert ["GET", "PUT"] == asked
    one.keep("abc")
    assert ["GET", "PUT", "GET"] == asked
    Machine(tmp_path / "other", s3_uri).find("abc")
    # Arrow asks for a file's size before it reads it.
    assert ["GET", "HEAD", "GET"] == asked[3:]


def test_opening_that_only_holds_a_plan_asks_nothing(tmp_path: Path, s3: S3, s3_uri: str) -> None:
    s3.break_after(0)
    with ReplyStore(RepliesPlace(str(tmp_path), s3_uri).local, PLAN):
        pass


@pytest.mark.parametrize("number", range(3))
def test_lost_machine_takes_the_last_segment_and_what_is_in_flight(tmp_path: Path, s3_uri: str, number: int) -> None:
    lines = 2 * (500 + 433 * number)
    writer = start_writer(tmp_path / "one", uri=s3_uri, call_seconds=0.02)
    said = kill_after(writer, lines)
    shutil.rmtree(tmp_path / "one")
    begun, kept = read_begun(said), read_kept(said)
    other = Machine(tmp_path / "other", s3_uri)
    found = other.find(begun)
    with other.open() as opened:
        lost = opened.lost

    assert make_replies(found) == found
    # 8 writers keep 350 a second: some come while the last segment is on its way.
    assert len(kept) - len(found) <= SEGMENT_REPLIES + 100
    # Each call's bound is 1: none that began is forgotten.
    assert len(begun) - len(found) <= lost.bound_usd <= len(begun) - len(found) + 2 * STEP_CALLS
    assert len(begun) - len(found) <= lost.calls
    assert [] == other.told


def test_machine_that_comes_back_tells_what_was_lost_in_truth(tmp_path: Path, s3_uri: str) -> None:
    said = kill_after(start_writer(tmp_path / "one", uri=s3_uri, call_seconds=0.02), 600)
    one, other = Machine(tmp_path / "one", s3_uri), Machine(tmp_path / "other", s3_uri)
    with one.open() as kept:
        lost = kept.lost
    found = other.find(read_begun(said))
    with other.open() as kept:
        assert lost == kept.lost

    assert len(set(read_begun(said)) - set(found)) <= lost.calls <= WRITERS
    assert set(read_kept(said)) <= set(found)


def test_calls_that_ended_are_not_lost_to_other_machines(tmp_path: Path, uri: str) -> None:
    async def call(kept: ReplyStore) -> None:
        for key in "abc":
            await kept.keep(key, REPLY, await kept.begin(0.5))
        await kept.drop(await kept.begin(0.5))
        await kept.begin(0.25)
        await kept.begin(None)
        await kept.begin(0.0)

    one, other = Machine(tmp_path / "one", uri), Machine(tmp_path / "other", uri)
    with one.open() as kept:
        asyncio.run(call(kept))
        with other.open() as elsewhere:
            # It is in use, as far as the other can know.
            assert elsewhere.lost.bound_usd >= 2.25
    for _ in range(2):
        with one.open() as kept:
            assert Lost(3, 0.25, 1) == kept.lost
        with other.open() as kept:
            assert Lost(1, 0.25) == kept.lost
            assert pytest.approx(0.03) == kept.kept_usd


async def test_calls_that_cost_nothing_are_not_told(tmp_path: Path) -> None:
    uri = str(tmp_path / "store")
    async with open_replies(Machine(tmp_path / "one", uri).place, PLAN) as kept:
        await kept.keep("a", REPLY, await kept.begin(None))
        await kept.keep("b", REPLY, await kept.begin(0.0))

    assert 1 == len(list_keys(uri))


def test_reply_that_two_machines_paid_for_counts_twice_and_the_first_stands(tmp_path: Path, uri: str) -> None:
    one, other, third = (Machine(tmp_path / name, uri) for name in ("one", "other", "third"))
    openings = [machine.open() for machine in (one, other)]
    for text, cost_usd, kept in zip(("one", "two"), (0.5, 0.25), openings, strict=True):
        asyncio.run(kept.keep("a", Reply(text, "stop", cost_usd=cost_usd)))
    for kept in openings:
        kept.close()
        # A store's clock may have whole seconds.
        time.sleep(1.1)
    for machine, text, lost_usd in ((one, "one", 0.25), (other, "two", 0.5), (third, "one", 0.25)):
        for _ in range(2):
            with machine.open() as kept:
                reply = kept.find("a")
                assert (text, Lost(1, lost_usd), 0.75 - lost_usd) == (reply and reply.text, kept.lost, kept.kept_usd)


def test_two_machines_at_once_do_no_harm(tmp_path: Path, s3_uri: str) -> None:
    writers = [
        start_writer(tmp_path / text, text=text, count=300, uri=s3_uri, call_seconds=0.01) for text in ("one", "two")
    ]
    said, complaints = zip(*(writer.communicate() for writer in writers), strict=True)
    keys = make_keys(300)
    third = Machine(tmp_path / "third", s3_uri).find(keys)

    assert [0, 0] == [writer.returncode for writer in writers], complaints
    assert keys == list(third)
    for text, lines in zip(("one", "two"), said, strict=True):
        mine = {key: reply.text for key, reply in Machine(tmp_path / text, s3_uri).find(keys).items()}
        assert read_kept(lines) == mine
    names = list_segments(s3_uri)
    assert len(names) == len(set(names))


def test_two_processes_of_one_machine_put_each_reply_once(tmp_path: Path, s3_uri: str) -> None:
    writers = [
        start_writer(tmp_path / "one", text=text, count=300, uri=s3_uri, call_seconds=0.01) for text in ("one", "two")
    ]
    for writer in writers:
        writer.communicate()
    put = [key for path in list_keys(s3_uri) if path.endswith(".zst") for key, _ in read_segment(s3_uri, path).replies]

    assert sorted(make_keys(300)) == sorted(put)
    # Where both ended at one instant, it is for the next one to say that nothing is lost.
    Machine(tmp_path / "one", s3_uri).find(())
    with Machine(tmp_path / "other", s3_uri).open() as kept:
        assert Lost() == kept.lost


@pytest.mark.parametrize("fate", ["refused", "dropped"])
def test_store_that_is_away_for_a_while_is_told_once_and_gets_all(
    tmp_path: Path, s3: S3, s3_uri: str, fate: str
) -> None:
    async def call(kept: ReplyStore, keys: Iterable[str]) -> None:
        async def ask(key: str) -> None:
            await kept.keep(key, make_reply(key), await kept.begin(0.5))

        await asyncio.gather(*map(ask, keys))

    one = Machine(tmp_path / "one", s3_uri)
    with one.open() as kept:
        s3.break_after(0, fate)  # type: ignore[arg-type]
        asyncio.run(call(kept, make_keys(300)))
        wait_until(lambda: len(one.told) == 1, WAIT_SECONDS)
        time.sleep(RETRY_SECONDS + 1)
        assert 1 == len(one.told)
        s3.heal()
        wait_until(lambda: len(one.told) == 2, WAIT_SECONDS)
        wait_until(lambda: 300 == len(Machine(tmp_path / "other", s3_uri).find(make_keys(300))), WAIT_SECONDS)
        asyncio.run(call(kept, make_keys(300, 300)))

    assert make_replies(make_keys(600)) == Machine(tmp_path / "third", s3_uri).find(make_keys(600))
    with Machine(tmp_path / "fourth", s3_uri).open() as kept:
        assert Lost() == kept.lost
    first, second = one.told
    assert all(part in first for part in (s3_uri, str(kept.path.name), "The run continues"))
    assert "accepts kept replies again" in second
    assert 2 == len(one.told)


def test_store_that_is_back_at_the_end_gets_all(tmp_path: Path, s3: S3, s3_uri: str) -> None:
    one = Machine(tmp_path / "one", s3_uri)
    with one.open() as kept:
        s3.break_after(0)
        asyncio.run(keep_all(kept, make_keys(100)))
        wait_until(lambda: len(one.told) == 1, WAIT_SECONDS)
        s3.heal()

    assert make_replies(make_keys(100)) == Machine(tmp_path / "other", s3_uri).find(make_keys(100))


def test_store_that_stays_away_gets_all_by_the_next_start_on_the_machine(tmp_path: Path, s3: S3, s3_uri: str) -> None:
    one = Machine(tmp_path / "one", s3_uri)
    with one.open() as kept:
        asyncio.run(keep_all(kept, make_keys(100)))
        # They may go in more segments than one.
        wait_until(lambda: 100 == len(Machine(tmp_path / "third", s3_uri).find(make_keys(100))), WAIT_SECONDS)
        s3.break_after(0)
        asyncio.run(keep_all(kept, make_keys(100, 100)))
    assert f"kept replies of plan {PLAN} are not on {s3_uri}. The next start on this machine" in one.told[-1]
    s3.heal()
    before = len(Machine(tmp_path / "other", s3_uri).find(make_keys(200)))
    one.find(())

    assert 100 == before
    assert make_replies(make_keys(200)) == Machine(tmp_path / "other", s3_uri).find(make_keys(200))
    put = [key for path in list_keys(s3_uri) for key, _ in read_segment(s3_uri, path).replies]
    assert sorted(make_keys(200)) == sorted(put)


@pytest.mark.parametrize("fate", ["refused", "dropped"])
def test_store_that_cannot_be_listed_is_an_error_before_anything_is_paid(
    tmp_path: Path, s3: S3, s3_uri: str, fate: str
) -> None:
    one = Machine(tmp_path / "one", s3_uri)
    s3.break_after(0, fate)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="EXEMPLARS_REPLIES_URI"):
        one.open()
    s3.heal()

    assert {} == one.find("a")


def test_segment_that_cannot_be_read_is_an_error(
    tmp_path: Path, s3: S3, s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Machine(tmp_path / "one", s3_uri).keep("abc")
    monkeypatch.setattr(s3, "let_through", lambda method: method == "GET" and s3.changes_left != 0)
    with pytest.raises(StoreError, match="EXEMPLARS_REPLIES_URI"):
        Machine(tmp_path / "other", s3_uri).open()


def test_store_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Machine(tmp_path / "one", "nowhere://bucket/replies").open()


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_segment_that_is_garbage_or_torn_is_told_and_passed_over(
    tmp_path: Path, uri: str, content: bytes | None
) -> None:
    one, other = Machine(tmp_path / "one", uri), Machine(tmp_path / "other", uri)
    one.keep("abc")
    one.keep("def")
    filesystem, root = open_folder(uri)
    torn = f"{root}/{list_keys(uri)[0]}"
    with filesystem.open_input_file(torn) as stream:
        whole = stream.read()
    write_whole(filesystem, torn, whole[:-9] if content is None else content)
    lacking = {key for key, _ in unpack_segment(whole).replies}

    assert make_replies({*"abcdef"} - lacking) == other.find("abcdef")
    [told] = other.told
    assert Path(torn).name in told
    assert "passed over" in told
    # The machine that has put it sees that it is not what it was, and puts it again.
    one.find(())
    assert make_replies("abcdef") == Machine(tmp_path / "third", uri).find("abcdef")


def test_segment_of_another_plan_is_passed_over(tmp_path: Path, uri: str) -> None:
    one = Machine(tmp_path / "one", uri)
    filesystem, root = open_folder(uri)
    content = pack_segment(Segment("other", HANDLE, [("a", '{"text": "one", "finish": "stop"}')]))
    write_whole(filesystem, f"{root}/plan={PLAN}/handle={HANDLE}/{name_segment(TOKEN, 1, 1)}", content)

    assert {} == one.find("a")
    assert "it is of plan other" in one.told[0]


def test_files_of_others_do_no_harm(tmp_path: Path, uri: str) -> None:
    filesystem, root = open_folder(uri)
    plan = f"plan={PLAN}"
    for name in ("notes.txt", f"{plan}/notes.txt", f"{plan}/handle={HANDLE}/.x.jsonl.zst", f"{plan}/1.2.3.begun"):
        write_whole(filesystem, f"{root}/{name}", b"mine")
    one = Machine(tmp_path / "one", uri)
    one.keep("a")

    assert make_replies("a") == Machine(tmp_path / "other", uri).find("a")
    assert [] == one.told


def test_what_is_said_of_costs_needs_no_reading(tmp_path: Path, uri: str) -> None:
    """It is in the names, so that nobody reads what somebody else is about to raise; the largest counts."""
    filesystem, root = open_folder(uri)
    for name in ("49-0.5", "9-2e-05", "97-1.25", "x-9", "9-nan", "9-1.2.3"):
        write_whole(filesystem, f"{root}/plan={PLAN}/handle={HANDLE}/{TOKEN}-{name}.begun", b"")
    with Machine(tmp_path / "one", uri).open() as kept:
        assert Lost(97, 1.25) == kept.lost


def test_damaged_journal_is_healed_and_takes_the_rest_from_the_store(tmp_path: Path, uri: str) -> None:
    one = Machine(tmp_path / "one", uri)
    one.keep(make_keys(200))
    path = one.folder / PLAN / "replies.sqlite"
    path.write_bytes(path.read_bytes()[:4096] + os.urandom(4096 * 8))

    assert make_replies(make_keys(200)) == one.find(make_keys(200))


def test_journal_that_is_damaged_in_use_goes_on(tmp_path: Path, uri: str) -> None:
    one = Machine(tmp_path / "one", uri)
    with one.open() as kept:
        asyncio.run(keep_all(kept, make_keys(50)))
        with closing(sqlite3.connect(kept.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = bytearray(kept.path.read_bytes())
        content[4096:8192] = os.urandom(4096)
        kept.path.write_bytes(bytes(content))
        asyncio.run(keep_all(kept, make_keys(50, 50)))
    found = Machine(tmp_path / "other", uri).find(make_keys(100))

    assert set(make_keys(50, 50)) <= set(found)
    assert make_replies(found) == found


def test_store_that_was_cleared_gets_again_what_a_machine_has(tmp_path: Path, uri: str) -> None:
    one = Machine(tmp_path / "one", uri)
    one.keep("abc")
    filesystem, root = open_folder(uri)
    filesystem.delete_dir(f"{root}/plan={PLAN}")
    one.find(())

    assert make_replies("abc") == Machine(tmp_path / "other", uri).find("abc")


def test_opening_an_old_plan_touches_it_once(tmp_path: Path) -> None:
    uri = str(tmp_path / "store")
    one = Machine(tmp_path / "one", uri)
    one.keep("abc")
    one.find(())
    assert 1 == len(list_keys(uri))
    for path in (tmp_path / "store").rglob("*.zst"):
        os.utime(path, (0, 0))
    for _ in range(2):
        one.find(())
    [used] = (tmp_path / "store").rglob("*.used")

    assert datetime.now(UTC).timestamp() - used.stat().st_mtime < 60
    assert make_replies("abc") == Machine(tmp_path / "other", uri).find("abc")


async def test_opening_that_is_given_up_is_closed(tmp_path: Path) -> None:
    place = Machine(tmp_path / "one", str(tmp_path / "store")).place

    async def use() -> None:
        async with open_replies(place, PLAN) as kept:
            await kept.keep("a", REPLY)
            await asyncio.sleep(60)

    for pauses in (0, 1, 2, 500):
        task = asyncio.create_task(use())
        for _ in range(pauses):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0.5)

    assert [] == list((tmp_path / "one" / PLAN / "users").iterdir())
    with ReplyStore(replace(place, cache_dir=str(tmp_path / "other")), PLAN) as kept:
        assert REPLY == kept.find("a")


async def test_store_that_hangs_is_told_and_waited_for_no_longer_than_it_deserves(
    tmp_path: Path, s3: S3, s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    let_through = s3.let_through
    one = Machine(tmp_path / "one", s3_uri)
    began = time.monotonic()
    async with open_replies(one.place, PLAN, HANDLE, one.told.append) as kept:
        monkeypatch.setattr(s3, "let_through", lambda method: released.wait(300) and let_through(method))
        for key in "abc":
            await kept.keep(key, make_reply(key), await kept.begin(0.5))
        [told] = one.told
        assert "it does not answer" in told
    released.set()

    assert time.monotonic() - began < PATIENCE_SECONDS + CLOSE_SECONDS + 10
    assert "3 kept replies" in one.told[-1]
    one.find(())
    assert make_replies("abc") == Machine(tmp_path / "other", s3_uri).find("abc")
