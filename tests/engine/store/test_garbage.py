"""Rejected sets and what dead processes left go by their age, in one move; a set that has samples never does."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.stored import HANDLE, age_files, attach_set, name_faults, read_files
from fakes.workspace import mount_disk

from engine.errors import StoreError
from engine.store.changes import detach_set
from engine.store.commit import STAGING, STALE_SECONDS, list_stale
from engine.store.garbage import OldSet, collect_garbage, list_old_sets, remove_old_set
from engine.store.layout import DETACHED, MANIFEST, REJECTED, SAMPLES
from engine.store.sample_set import Status
from engine.store.store import find_set, locate_set

OLD = timedelta(days=40)
NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=30)


def put_old(store: Path, run_id: str, status: Status = "rejected", age: timedelta = OLD) -> Path:
    """A set that was due and written so long ago."""
    folder = Path(attach_set(store, run_id, age=age, status=status).folder)
    age_files(folder, age)
    return folder


def list_now(store: Path) -> list[OldSet]:
    return list(list_old_sets(str(store), BEFORE))


def name_runs(found: Sequence[OldSet]) -> list[tuple[str, str]]:
    return [(old.run_id, old.kind) for old in found]


def leave(store: Path, run_id: str, name: str, age: timedelta = OLD) -> Path:
    """A file of a set without a manifest."""
    path = Path(locate_set(str(store), HANDLE, "train", run_id)) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    age_files(path.parent, age)
    return path


def test_only_what_is_rejected_or_debris_and_old_is_found(tmp_path: Path) -> None:
    put_old(tmp_path, "old")
    put_old(tmp_path, "young", age=timedelta(days=20))
    put_old(tmp_path, "attached", status="attached")
    detached = attach_set(tmp_path, "detached", age=OLD)
    detach_set(detached)
    age_files(detached.folder, OLD)
    attach_set(tmp_path, "copied-later", age=OLD, status="rejected")
    for run_id, content in (
        ("torn", b'{"status": "rejec'),
        ("undated", b'{"status": "rejected", "created_at": "once"}'),
    ):
        (put_old(tmp_path, run_id) / MANIFEST).write_bytes(content)
        age_files(locate_set(str(tmp_path), HANDLE, "train", run_id), OLD)
    for run_id, name in (("half", REJECTED), ("half-attached", SAMPLES), ("half-detached", DETACHED)):
        leave(tmp_path, run_id, name)
    leave(tmp_path, "fresh", REJECTED, timedelta())
    half, found = list_now(tmp_path)

    assert [("half", "unfinished"), ("old", "rejected")] == name_runs([half, found])
    assert HANDLE == found.handle
    assert found.bytes == sum(path.stat().st_size for path in Path(found.folder).rglob("*") if path.is_file())
    assert abs(datetime.now(UTC) - OLD - found.written_at) < timedelta(minutes=1)


@pytest.mark.parametrize("kind", ["rejected", "unfinished"])
def test_set_that_has_changed_since_it_was_found_stays(tmp_path: Path, kind: str) -> None:
    path = put_old(tmp_path, "a") / REJECTED if kind == "rejected" else leave(tmp_path, "a", REJECTED)
    [found] = list_now(tmp_path)
    attach_set(tmp_path, "a", age=OLD, status="attached" if kind == "rejected" else "rejected")

    assert not remove_old_set(found)
    assert path.exists()


def test_what_breaks_off_leaves_no_set_by_half_and_the_next_goes_on(tmp_path: Path) -> None:
    """A file that cannot go stands for a kill: the manifest goes first of all."""
    store = tmp_path / "samples"
    put_old(store, "stays", status="attached")
    before = read_files(store)
    folders = [put_old(store, run_id) for run_id in ("a", "b")]
    with mount_disk(folders[0] / "__run__/busy", "size=4k"):
        (folders[0] / "__run__/busy/file").touch()
        age_files(folders[0], OLD)
        with pytest.raises(StoreError, match=r"run=a cannot be used"):
            remove_old_set(list_now(store)[0])
        assert None is find_set(str(store), "a")
    (folders[0] / "__run__/left").touch()
    age_files(folders[0], OLD)
    left = list_now(store)

    assert [("a", "unfinished"), ("b", "rejected")] == name_runs(left)
    assert [True, True] == [remove_old_set(old) for old in left]
    assert before == read_files(store)
    assert [] == name_faults(store)
    assert [store] == list(tmp_path.iterdir())


@pytest.mark.parametrize("left_by", [STAGING, ".samples-staging-"])
def test_what_a_dead_process_left_goes_after_a_day(tmp_path: Path, left_by: str) -> None:
    root = tmp_path / "samples"
    root.mkdir()
    left = (tmp_path if left_by.startswith(".") else root) / f"{left_by}0123456789ab-x"
    left.mkdir()
    (left / "file").write_text("half")
    moment = NOW.timestamp() - STALE_SECONDS - 60
    os.utime(left, (moment, moment))
    earlier = NOW - timedelta(minutes=2)
    assert ((), []) == (collect_garbage(str(root), HANDLE, earlier), list_stale(root, earlier))

    assert [left] == list_stale(root, NOW)
    assert (f"{left}: left by a process that is gone",) == collect_garbage(str(root), HANDLE, NOW)
    assert [root] == list(tmp_path.iterdir())
