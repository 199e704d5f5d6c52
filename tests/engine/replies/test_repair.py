"""A damaged file of replies is healed: what its pages hold is carried over, it is set aside, and nothing raises."""

import asyncio
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.long import choose, longer
from fakes.reply_writer import PLAN, make_reply

from engine.llm.request import Reply
from engine.replies.replies import Lost, ReplyStore
from engine.settings import RepliesPlace

OLD = [f"old-{number}" for number in range(250)]
NEW = [f"new-{number}" for number in range(150)]
HANDLE = "u22a8.toolshed"
ROUNDS = choose(once=4, at_length=100)
FILE, LOG = "replies.sqlite", "replies.sqlite-wal"

Spoil = Callable[[Path, int], None]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache as a machine leaves it that loses power: some replies in the file, some still in its log, calls open."""
    folder = tmp_path_factory.mktemp("sound")
    asyncio.run(keep_all(folder / "cache", OLD, lambda: None))
    asyncio.run(keep_all(folder / "cache", NEW, lambda: shutil.copytree(folder / "cache", folder / "copy")))
    return folder / "copy"


async def keep_all(cache: Path, keys: list[str], at_the_end: Callable[[], object]) -> None:
    with ReplyStore(RepliesPlace(str(cache)), PLAN, HANDLE) as kept:
        for start in range(0, len(keys), 10):
            await asyncio.gather(*(kept.keep(key, make_reply(key)) for key in keys[start : start + 10]))
        await kept.begin(0.5)
        at_the_end()


@dataclass(frozen=True)
class Damaged:
    """A copy that may be spoiled."""

    cache: Path

    @property
    def file(self) -> Path:
        return self.cache / PLAN / FILE

    @property
    def log(self) -> Path:
        return self.cache / PLAN / LOG

    @property
    def aside(self) -> list[str]:
        """The files that were set aside."""
        return sorted(path.name for path in self.file.parent.glob("*.broken-*"))

    def read(self) -> dict[str, Reply]:
        """What is found; each is as it was kept."""
        with ReplyStore(RepliesPlace(str(self.cache)), PLAN) as kept:
            # The damage may be found half-way.
            found = [{key: reply for key in OLD + NEW if (reply := kept.find(key))} for _ in range(2)]
        assert found[0].items() <= found[1].items()
        assert {key: make_reply(key) for key in found[1]} == found[1]
        return found[1]


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Damaged:
    return copy(sound, tmp_path / "cache")


def copy(sound: Path, cache: Path) -> Damaged:
    shutil.copytree(sound, cache)
    return Damaged(cache)


def cut(path: Path, place: int) -> None:
    os.truncate(path, place)


def zero(path: Path, place: int) -> None:
    size = path.stat().st_size
    os.truncate(path, place)
    os.truncate(path, size)


def garble(path: Path, place: int) -> None:
    size = path.stat().st_size
    os.truncate(path, place)
    with path.open("ab") as stream:
        stream.write(random.Random(place).randbytes(size - place))


def lengthen(path: Path, place: int) -> None:
    with path.open("ab") as stream:
        stream.write(random.Random(place).randbytes(place % 20_000))


SPOILS: list[Spoil] = [cut, zero, garble, lengthen]


def check_usable(damaged: Damaged) -> None:
    """New replies are kept in what was healed, and SQLite finds nothing wrong with it."""

    async def keep() -> None:
        with ReplyStore(RepliesPlace(str(damaged.cache)), PLAN) as kept:
            await kept.keep("after", Reply("after", "stop"), await kept.begin(1.0))

    asyncio.run(keep())
    with closing(sqlite3.connect(damaged.file)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        assert 1 == connection.execute("SELECT count(*) FROM replies WHERE key = 'after'").fetchone()[0]


def test_sound_file_is_whole_and_stays_where_it_is(damaged: Damaged) -> None:
    assert set(OLD + NEW) == set(damaged.read())
    assert [] == damaged.aside
    with ReplyStore(RepliesPlace(str(damaged.cache)), PLAN) as kept:
        assert Lost(2, 1.0, 0) == kept.lost


@pytest.mark.parametrize("spoil", SPOILS)
@longer
def test_log_with_a_torn_tail_loses_nothing_that_came_before_the_tear(
    sound: Path, tmp_path: Path, spoil: Spoil
) -> None:
    rng = random.Random(spoil.__name__)
    size = (sound / PLAN / LOG).stat().st_size
    counts = []
    for number, place in enumerate(sorted([0, 31, size, *(rng.randrange(size) for _ in range(ROUNDS))])):
        damaged = copy(sound, tmp_path / str(number))
        spoil(damaged.log, place)
        found = damaged.read()
        counts.append(len(found))

        assert set(OLD) <= set(found)
        assert [] == damaged.aside
        check_usable(damaged)
    assert sorted(counts) == counts
    assert len(OLD + NEW) == counts[-1]


@pytest.mark.parametrize("spoil", [cut, zero, garble])
@pytest.mark.parametrize("with_log", [True, False])
@longer
def test_file_with_a_torn_tail_keeps_what_its_pages_hold(
    sound: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Spoil, with_log: bool
) -> None:
    rng = random.Random(f"{spoil.__name__} {with_log}")
    size = (sound / PLAN / FILE).stat().st_size
    in_log = len(NEW) if with_log else 0
    for number, place in enumerate([1, 99, 100, 4096, *(rng.randrange(size) for _ in range(ROUNDS))]):
        damaged = copy(sound, tmp_path / str(number))
        if not with_log:
            damaged.log.unlink()
        spoil(damaged.file, place)
        caplog.clear()
        found = damaged.read()

        # Replies come in the order of the pages, but for the index between them and for those of many pages.
        assert in_log + len(OLD) * place / size - 15 <= len(found) <= in_log + len(OLD)
        if damaged.aside:
            assert [f"{len(found)} replies in it are saved"] == re.findall(r"\d+ replies in it are saved", caplog.text)
            assert f"{FILE}.broken-1" == damaged.aside[0]
        else:
            # The last pages are newer in the log, or the end of one long reply. An empty file is, to SQLite, a new one.
            assert len(found) >= in_log + len(OLD) - 1 or (1, False) == (place, with_log)
        check_usable(damaged)


def test_bytes_behind_the_end_of_the_file_do_no_harm(damaged: Damaged) -> None:
    lengthen(damaged.file, 12_345)

    assert set(OLD + NEW) == set(damaged.read())
    check_usable(damaged)


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9])
def test_page_that_is_lost_in_the_middle_takes_only_its_own_replies(damaged: Damaged, place: float) -> None:
    page = int(damaged.file.stat().st_size * place) // 4096
    with damaged.file.open("r+b") as stream:
        stream.seek(page * 4096)
        stream.write(bytes(4096))

    assert len(OLD + NEW) - 40 <= len(damaged.read())
    check_usable(damaged)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_costs_are_summed_of_what_was_saved(damaged: Damaged, place: float) -> None:
    zero(damaged.file, int(damaged.file.stat().st_size * place))
    with ReplyStore(RepliesPlace(str(damaged.cache)), PLAN) as kept:
        kept_usd = kept.kept_usd

    assert damaged.aside
    assert len(damaged.read()) * 0.001 == pytest.approx(kept_usd)


def test_calls_that_had_begun_and_the_handle_are_carried_over(damaged: Damaged) -> None:
    damaged.file.unlink()
    with ReplyStore(RepliesPlace(str(damaged.cache)), PLAN) as kept:
        assert Lost(2, 1.0, 0) == kept.lost
    cut(damaged.file, damaged.file.stat().st_size - 4096)
    with ReplyStore(RepliesPlace(str(damaged.cache)), PLAN) as kept:
        assert Lost(2, 1.0, 0) == kept.lost

    assert {f"{FILE}.broken-1-wal", f"{FILE}.broken-2"} <= set(damaged.aside)


async def test_openings_from_before_go_on_in_the_healed_file(damaged: Damaged) -> None:
    with ReplyStore(RepliesPlace(str(damaged.cache)), PLAN) as before:
        begun = await before.begin(1.0)
        zero(damaged.file, 4096 * 20)
        damaged.read()
        assert damaged.aside
        await before.keep("key", make_reply("key"), begun)
        with ReplyStore(RepliesPlace(str(damaged.cache)), PLAN) as after:
            assert make_reply("key") == after.find("key") == before.find("key")
            assert Lost(2, 1.0, 0) == after.lost


@pytest.mark.parametrize("moved", [(), (FILE,), (FILE, LOG)])
def test_healing_that_was_broken_off_is_brought_to_its_end(damaged: Damaged, moved: tuple[str, ...]) -> None:
    """As a process leaves it that dies between two of the moves."""
    spoiled = copy(damaged.cache, damaged.cache.with_name("spoiled"))
    zero(spoiled.file, spoiled.file.stat().st_size // 2)
    found = spoiled.read()
    spoiled.file.rename(damaged.file.with_name(f"{FILE}.healed"))
    zero(damaged.file, damaged.file.stat().st_size // 2)
    for name in moved:
        damaged.file.with_name(name).rename(damaged.file.with_name(name.replace(FILE, f"{FILE}.broken-1")))

    assert found == damaged.read()
    assert f"{FILE}.broken-1" in damaged.aside
    assert not damaged.file.with_name(f"{FILE}.healed").exists()
    check_usable(damaged)


def test_what_was_left_of_a_healing_that_did_not_get_far_is_no_matter(damaged: Damaged) -> None:
    damaged.file.with_name(f"{FILE}.healing").write_bytes(b"half")
    zero(damaged.file, damaged.file.stat().st_size // 2)

    assert len(NEW) < len(damaged.read())
    check_usable(damaged)


def test_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    damaged = Damaged(tmp_path)
    damaged.file.parent.mkdir()
    damaged.file.write_bytes(b"no database" * 1000)

    assert {} == damaged.read()
    assert [f"{FILE}.broken-1"] == damaged.aside
    check_usable(damaged)
