"""What a dead process was making is found and taken away, and never anything of one that lives."""

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest
from fakes.stored import HANDLE, attach_set
from fakes.workspace import mount_disk

from engine.store.staging import (
    PROBE,
    STAGINGS,
    STALE_SECONDS,
    list_left_over,
    make_staging,
    name_aside,
    probe_folder,
    sweep_staging,
)
from engine.store.store import list_sets


def leave_staging(root: Path) -> Path:
    """A staging folder with a file, as a process leaves it that dies: its lock goes with it."""
    with make_staging(root) as staging:
        left = staging.with_name(staging.name[:-4] + "left")
    left.mkdir()
    (left / "file").write_text("half")
    return left


def put_aside_and_fail(root: Path, folder: Path) -> None:
    with make_staging(root) as staging:
        folder.rename(name_aside(root, staging, folder))
        raise KeyboardInterrupt


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    for found in (path, *path.rglob("*")):
        os.utime(found, (moment, moment))


def test_what_a_dead_process_left_is_found_and_taken_away_beside_and_inside_the_store(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    beside = leave_staging(root)
    inside = [root / f"{start}{beside.name.partition('-staging-')[2]}" for start in (*STAGINGS, PROBE)]
    for folder in inside[:2]:
        folder.mkdir()
        (folder / "file").write_text("half")
    inside[2].write_bytes(b"\0")

    assert [beside, *sorted(inside)] == list_left_over(root)
    assert [beside, *sorted(inside)] == sweep_staging(root)
    assert [root] == list(tmp_path.iterdir())
    assert [] == list(root.iterdir())


def test_what_is_empty_is_taken_away_but_not_told_as_broken(tmp_path: Path) -> None:
    """Between its making and its lock a folder of a living process looks the same; who makes it looks again."""
    left = leave_staging(tmp_path / "samples")
    (left / "file").unlink()

    assert [] == list_left_over(tmp_path / "samples")
    assert [left] == sweep_staging(tmp_path / "samples")


def test_what_a_living_process_makes_stays(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    with make_staging(root) as staging:
        (staging / "file").write_text("at work")

        assert [] == list_left_over(root)
        assert [] == sweep_staging(root)
        assert "at work" == (staging / "file").read_text()


def test_lock_of_another_process_is_seen(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    left = leave_staging(root)
    read_end, write_end = os.pipe()
    if not (child := os.fork()):
        descriptor = os.open(left, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(write_end, b"locked")
        time.sleep(60)
        os._exit(0)
    try:
        assert b"locked" == os.read(read_end, 6)
        assert [] == sweep_staging(root)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    assert [left] == sweep_staging(root)


@pytest.mark.parametrize("name", [".samples-staging-0123456789ab-x", ".samples-staging-x"])
def test_what_another_machine_made_stays_for_a_day(tmp_path: Path, name: str) -> None:
    root = tmp_path / "samples"
    root.mkdir()
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_text("half")
    age(tmp_path / name, STALE_SECONDS - 60)
    assert [] == sweep_staging(root)
    age(tmp_path / name, STALE_SECONDS + 60)

    assert [tmp_path / name] == sweep_staging(root)


def test_set_that_was_put_aside_goes_back_where_nothing_took_its_place(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    folder = Path(attach_set(root, "a").folder)
    left = leave_staging(root)
    folder.rename(name_aside(root, left, folder))
    assert [] == list_sets(str(root), HANDLE, "train")

    assert [left] == sweep_staging(root)
    assert [str(folder)] == [stored.folder for stored in list_sets(str(root), HANDLE, "train")]


def test_set_that_was_put_aside_does_not_come_back_where_another_took_its_place(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    folder = Path(attach_set(root, "a", status="rejected").folder)
    left = leave_staging(root)
    folder.rename(name_aside(root, left, folder))
    attach_set(root, "a")
    sweep_staging(root)

    assert ["a"] == [stored.run_id for stored in list_sets(str(root), HANDLE, "train")]
    assert [root] == list(tmp_path.iterdir())


def test_set_goes_back_when_what_should_take_its_place_fails(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    folder = Path(attach_set(root, "a").folder)
    with pytest.raises(KeyboardInterrupt):
        put_aside_and_fail(root, folder)

    assert [str(folder)] == [stored.folder for stored in list_sets(str(root), HANDLE, "train")]
    assert [root] == list(tmp_path.iterdir())


def test_what_cannot_go_back_is_kept_until_it_can(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    folder = Path(attach_set(root, "a").folder)
    left = leave_staging(root)
    folder.rename(name_aside(root, left, folder))
    pool = folder.parent
    pool.rename(tmp_path / "away")
    pool.write_text("in the way")
    assert [] == sweep_staging(root)
    pool.unlink()
    pool.mkdir()

    assert [left] == sweep_staging(root)
    assert folder.is_dir()


def test_probe_leaves_nothing_and_tells_what_is_wrong(tmp_path: Path) -> None:
    probe_folder(tmp_path / "new" / "samples")
    with mount_disk(tmp_path / "full", "size=4k") as disk:
        (disk / "filler").write_bytes(b"x" * 4096)
        with pytest.raises(OSError, match="No space"):
            probe_folder(disk)
        assert ["filler"] == [path.name for path in disk.iterdir()]

    assert [] == list((tmp_path / "new" / "samples").iterdir())
