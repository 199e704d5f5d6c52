"""A set that takes the place of others: whatever breaks off, a reader sees the old ones or the new one."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fakes.stored import HANDLE, attach_set, name_faults, write_model

from engine.errors import FrozenModelError
from engine.listing.locations import find_locations
from engine.listing.samples import FIRST_ATTACHED, count_attached, walk_attached
from engine.store.changes import detach_replaced, find_detachable, finish_change
from engine.store.garbage import collect_garbage
from engine.store.layout import DETACHED, SAMPLES
from engine.store.store import find_set, list_newer, list_replaced, list_sets, locate_pool
from engine.store.writers import lock_model


def name_runs(store: Path) -> list[str]:
    return [stored.run_id for stored in list_sets(str(store), HANDLE, "train")]


def put_half_detached(folder: Path) -> None:
    (folder / DETACHED).write_bytes((folder / SAMPLES).read_bytes())


@pytest.mark.parametrize("half_detached", [False, True])
def test_what_is_replaced_is_seen_by_nobody_and_detached_by_the_next_run(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, half_detached: bool
) -> None:
    store, models = str(tmp_path), tmp_path_factory.mktemp("models")
    before = [attach_set(tmp_path, run_id, 2, age=timedelta(hours=1)) for run_id in ("a", "b")]
    seen = [name_runs(tmp_path)]
    # Its process is killed here, or a moment later.
    attach_set(tmp_path, "c", 4, replaces=["a", "b"])
    if half_detached:
        put_half_detached(Path(before[0].folder))
    seen += [
        name_runs(tmp_path),
        sorted({str(place[2]) for place, _ in walk_attached(store, HANDLE, None, FIRST_ATTACHED)}),
    ]
    found = [find_set(store, run_id) for run_id in ("a", "c")]
    faults, count, newer = name_faults(tmp_path), count_attached(store, HANDLE), list_newer(store, HANDLE, ["c"])
    (write_model(models) / "lifecycle.json").write_text('{"state": "ready"}')
    with pytest.raises(FrozenModelError):
        find_detachable(str(models), store, "c")
    detachable = find_detachable(str(models), store, "b")
    number = pq.read_table(before[0].file(SAMPLES))["id"][0].as_py()
    shown = find_locations(str(models), store, number, HANDLE, None)
    swept = collect_garbage(store, HANDLE, datetime.now(UTC))

    assert [["a", "b"], ["c"], ["c"]] == seen
    assert (["attached"] * 2, "b") == ([stored.status for stored in found if stored], detachable.run_id)
    assert [("detached", before[0].file(SAMPLES))] == [(place.state, place.where) for place in shown]
    assert ([], 4, ()) == (faults, sum(count.values()), newer)
    assert 2 == sum("since run c has replaced it" in line for line in swept)
    assert [["c"], []] == [name_runs(tmp_path), name_faults(tmp_path)]
    assert [False, True] * 2 == [Path(item.folder, name).exists() for item in before for name in (SAMPLES, DETACHED)]
    assert () == collect_garbage(store, HANDLE, datetime.now(UTC))


def test_proposal_replaces_nothing_before_it_is_attached(tmp_path: Path) -> None:
    attach_set(tmp_path, "a")
    attach_set(tmp_path, "b", status="proposed", replaces=["a"])
    attach_set(tmp_path, "c", status="rejected", replaces=["a"])

    assert ["a"] == name_runs(tmp_path)
    assert [] == list_replaced(locate_pool(str(tmp_path), HANDLE, "train"))


def test_readers_in_a_loop_see_one_set_at_every_moment(tmp_path: Path) -> None:
    attach_set(tmp_path, "0")
    rounds, pool = 40, locate_pool(str(tmp_path), HANDLE, "train")

    def replace_over_and_over() -> None:
        for number in range(1, rounds):
            attach_set(tmp_path, str(number), replaces=[str(number - 1)])
            list(detach_replaced(list_replaced(pool)))

    with ThreadPoolExecutor(1) as thread:
        writing, seen = thread.submit(replace_over_and_over), [name_runs(tmp_path)]
        while not writing.done():
            seen.append(name_runs(tmp_path))
        writing.result()

    assert {1} == set(map(len, seen))
    assert [str(rounds - 1)] == name_runs(tmp_path)
    assert len({runs[0] for runs in seen}) > 2
    with lock_model(pool):
        assert "" == finish_change(f"{pool}/run=0")[1]
