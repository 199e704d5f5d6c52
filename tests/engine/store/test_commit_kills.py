"""A writer that is killed at any instant, or whose disk fails at any byte, leaves each set whole or not at all.

``LONG=1 pytest tests/engine/store/test_commit_kills.py -s`` kills more often, and prints what was found.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from fakes.long import choose, longer
from fakes.store_writers import (
    CONTEXT,
    SECONDS,
    detach_at_once,
    name_run,
    open_pool,
    run_apart,
    write_sets,
)
from fakes.stored import HANDLE, TOMORROW, attach_set, name_faults
from fakes.workspace import mount_disk

from engine.domain.model import Attached
from engine.errors import StoreError
from engine.store.changes import detach_set
from engine.store.garbage import collect_garbage
from engine.store.index.rows import read_attached
from engine.store.sample_set import Status
from engine.store.store import StoredSet, find_set, list_sets, locate_set

ROUNDS = choose(once=6, at_length=400)
ROWS = 4


def kill_writer(store: Path, begin: int, after_seconds: float) -> dict[int, str]:
    """What a writer said of its sets until it was killed, so many seconds after its first word."""
    heard, told = CONTEXT.Pipe(duplex=False)
    with run_apart(write_sets, store, begin, ROWS, told):
        told.close()
        assert heard.poll(SECONDS)
        said = dict([heard.recv()])
        time.sleep(after_seconds)
    try:
        while heard.poll():
            said |= dict([heard.recv()])
    except EOFError:
        pass
    return said


def count_rows(store: Path) -> dict[str, int]:
    return dict(pd.read_parquet(store, columns=["run_id"])["run_id"].value_counts())


@longer
def test_writer_that_is_killed_at_any_instant_loses_nothing_that_it_said_was_there(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    instants = random.Random(20261125)
    said: dict[int, str] = {}
    swept = 0
    for number in range(ROUNDS):
        said |= kill_writer(store, 1_000_000 * (number + 1), instants.uniform(0, 0.06))
        assert [] == name_faults(store)
        assert {ROWS} == set(count_rows(store).values())
        swept += len(collect_garbage(str(store), HANDLE, TOMORROW))

        assert [] == name_faults(store)
        assert [store] == list(tmp_path.iterdir())
    attached = {stored.run_id for stored in list_sets(str(store), HANDLE, "train")}
    detached = {stored.run_id for stored in list_sets(str(store), HANDLE, "train", ("detached",))}
    assert {name_run(number) for number, word in said.items() if word == "detached"} <= detached
    # The last word of a writer may be that a set is attached, when it was just about to detach it.
    assert {name_run(number) for number in said} <= attached | detached
    assert attached == set(count_rows(store))
    print(f"\n{ROUNDS} kills, {len(said)} sets: {swept} swept; {len(attached)} attached, {len(detached)} detached")


@pytest.mark.parametrize("before", [None, "rejected", "attached"])
def test_disk_that_is_full_at_any_byte_leaves_what_was_there(tmp_path: Path, before: Status | None) -> None:
    """``attached``: what is on the disk already is to be detached, else a set is to be written."""
    said = []
    for pages in range(20):
        with mount_disk(tmp_path / f"disk-{pages}", "size=400k") as disk:
            store = disk / "samples"
            attach_set(store, "old", ROWS)
            stored = attach_set(store, "new", ROWS, status=before) if before else None
            free = os.statvfs(disk)
            (disk / "filler").write_bytes(b"x" * free.f_bsize * max(0, free.f_bavail - pages))
            was = find_set(str(store), "new")
            try:
                if stored is not None and before == "attached":
                    detach_set(stored)
                else:
                    attach_set(store, "new", ROWS)
            except StoreError as error:
                said.append(str(error))
                assert was == find_set(str(store), "new")
            assert [] == name_faults(store)
            assert {"filler", "samples"} == {path.name for path in disk.iterdir()}
            assert ROWS == count_rows(store)["old"]
    assert 0 < len(said) < 20
    assert all(part in message for message in said for part in (str(tmp_path), "No space left"))


@longer
def test_of_two_who_detach_one_set_at_once_one_does(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    with open_pool(2) as pool:
        for number in range(ROUNDS):
            attach_set(store, name_run(number), ROWS)
            assert 1 == sum(pool.map(detach_at_once, [str(store)] * 2, [name_run(number)] * 2, timeout=SECONDS))

    assert [] == name_faults(store)
    assert [] == list_sets(str(store), HANDLE, "train")


@longer
def test_our_readers_and_verify_see_each_set_whole_or_not_while_sets_come_and_go(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    attach_set(store, "stays", ROWS)
    heard, told = CONTEXT.Pipe(duplex=False)
    looks = 0
    with run_apart(write_sets, store, 0, ROWS, told, 4 * ROUNDS) as writer:
        while writer.is_alive():
            sets = list_sets(str(store), HANDLE, "train")
            texts = [sample.text.split()[0] for sample in read_those_there(sets)]
            assert {ROWS} == set(Counter(texts).values())
            assert "stays" in texts
            assert [] == name_faults(store)
            looks += 1
            while heard.poll():
                heard.recv()
        assert 0 == writer.exitcode
    assert looks
    print(f"\n{looks} looks at {4 * ROUNDS} sets that came and went")


def read_those_there(sets: list[StoredSet]) -> list[Attached]:
    """A set may be detached between the listing and the reading: then its file is not there, and says so."""
    samples: list[Attached] = []
    for stored in sets:
        try:
            samples += read_attached([stored])
        except StoreError:
            again = find_set(stored.folder.partition("/handle=")[0], stored.run_id)
            assert again is None or "detached" == again.status
    return samples


@pytest.mark.parametrize("whole", [True, False])
def test_set_without_a_manifest_is_debris_that_the_next_run_of_its_model_takes_away(
    tmp_path: Path, whole: bool
) -> None:
    store = tmp_path / "samples"
    attach_set(store, "rejected", ROWS, status="rejected")
    detach_set(attach_set(store, "detached", ROWS))
    before = sorted(store.rglob("*"))
    assert (
        ()
        == collect_garbage(str(store), HANDLE, TOMORROW)
        == collect_garbage(str(tmp_path / "nowhere"), HANDLE, TOMORROW)
    )
    debris = Path(locate_set(str(store), HANDLE, "train", "half"))
    if whole:
        Path(attach_set(store, "half", ROWS).folder, "__run__/manifest.json").unlink()
    else:
        debris.write_text("a file")

    assert () == collect_garbage(str(store), "u22a8.other", TOMORROW)
    assert debris.exists()
    [said] = collect_garbage(str(store), HANDLE, TOMORROW)
    assert said.startswith(f"{debris}: a set without a manifest")
    assert (before, [store]) == (sorted(store.rglob("*")), list(tmp_path.iterdir()))
